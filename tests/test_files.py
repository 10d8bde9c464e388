"""Files are found once and in order; results get unique names and are written whole or not."""

import errno
import os
import stat
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trace_edges.files import (
    IMAGE_SUFFIXES,
    Found,
    InputError,
    find_images,
    remove_temporaries,
    write_atomically,
)
from trace_edges.inputs import _names
from trace_edges.outputs import Outputs

TREE = [
    "b.PNG",
    "a.jpg",
    "notes.txt",
    ".hidden.png",
    "._a.jpg",
    "deep/c.tiff",
    "deep/deeper/d.webp",
    ".cache/e.png",
    "folder.png/f.gif",
]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in TREE:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(found):
    assert isinstance(found, Found)
    assert found.problems == ()
    return [path.as_posix() for path in found.images]


def test_a_folder_gives_its_visible_images_sorted(tree):
    assert names(find_images(["photos"])) == ["photos/a.jpg", "photos/b.PNG"]
    assert names(find_images([tree / "photos"])) == [
        f"{tree.as_posix()}/photos/{name}" for name in ("a.jpg", "b.PNG")
    ]


def test_a_folder_is_searched_in_depth_when_asked(tree):
    assert names(find_images(["photos"], recursive=True)) == [
        "photos/a.jpg",
        "photos/b.PNG",
        "photos/deep/c.tiff",
        "photos/deep/deeper/d.webp",
        "photos/folder.png/f.gif",
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*", ["a.jpg", "b.PNG"]),
        ("photos/[a-b].*", ["a.jpg", "b.PNG"]),
        ("photos/?.jpg", ["a.jpg"]),
        ("photos/*/*", ["deep/c.tiff", "folder.png/f.gif"]),
        ("**/deep/**", ["deep/c.tiff", "deep/deeper/d.webp"]),
        ("photos/.*", [".hidden.png", "._a.jpg"]),
    ],
)
def test_patterns_that_the_shell_left_alone(tree, pattern, expected):
    found = names(find_images([pattern]))
    assert found == sorted(f"photos/{name}" for name in expected)


def test_a_named_file_is_taken_as_it_is(tree):
    for name in ("photos/notes.txt", "photos/.hidden.png"):
        assert names(find_images([name])) == [name]
    Path("odd[1]*.png").touch()
    assert names(find_images(["odd[1]*.png"])) == ["odd[1]*.png"]


def test_inputs_keep_their_order_and_files_come_once(tree):
    inputs = ["photos/b.PNG", "photos", "./photos/a.jpg", "photos/deep/../b.PNG", "photos/*.jpg"]
    assert names(find_images(inputs)) == ["photos/b.PNG", "photos/a.jpg"]


def test_problems_do_not_stop_the_rest(tree):
    found = find_images(["lost.png", "photos/a.jpg", "empty", "*.bmp", "http://x.org/a.png", ""])
    assert found.images == (Path("photos/a.jpg"),)
    parts = ["no such file or folder", "folder without images", "matches no image"]
    parts += ["download it first", "no such file or folder"]
    names_of = ["lost.png", "empty", "*.bmp", "http://x.org/a.png", "the empty path"]
    for problem, name, part in zip(found.problems, names_of, parts, strict=True):
        assert isinstance(problem, InputError)
        assert str(problem).startswith(f"{name}: ")
        assert part in str(problem)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["lost.png"], r"^lost\.png: there is no such file or folder; check the path$"),
        (["lost.png", "empty", "*.x"], r"^lost\.png: .* \(and 2 more inputs without images\)$"),
        (["empty"], r"^empty: is a folder without images .* give 'empty/\*\*'$"),
        (["photos/*.bmp"], r"^photos/\*\.bmp: .* matches no image .*check it$"),
        (["two\nlines.png"], r"^two lines\.png: there is no such file or folder"),
        ([], "^no input was given"),
    ],
)
def test_no_image_at_all_is_an_error_of_one_line(tree, inputs, message):
    with pytest.raises(InputError, match=message) as caught:
        find_images(inputs)
    assert "\n" not in str(caught.value)


def test_the_mend_for_a_folder_of_folders_works(tree):
    (tree / "set [1]" / "deep").mkdir(parents=True)
    (tree / "set [1]" / "deep" / "a.png").touch()
    with pytest.raises(InputError) as caught:
        find_images(["set [1]"])
    mend = str(caught.value).split("'")[1]
    assert names(find_images([mend])) == ["set [1]/deep/a.png"]
    with pytest.raises(InputError, match=r"\.gif\)$"):
        find_images(["empty"], recursive=True)


def test_a_shut_folder_is_a_problem_beside_what_was_found(tree, monkeypatch):
    scandir = os.scandir

    def guarded(path):
        if Path(path).name == "deep":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # root may read everything
    found = find_images(["photos"], recursive=True)
    assert [path.name for path in found.images] == ["a.jpg", "b.PNG", "f.gif"]
    (problem,) = found.problems
    assert str(problem) == (
        f"{Path('photos/deep')}: cannot be listed (Permission denied); change its permissions"
    )


def named(*given, recursive=False):
    """What the results of images are called, of files, folders and patterns."""
    return {path.as_posix(): name for path, name in find_images(given, recursive).names.items()}


@pytest.mark.parametrize(
    "expected",
    [
        {"a.jpg": "a"},
        {"x/a.jpg": "a", "y/b.jpg": "b", "a.b.png": "a.b"},
        {"a.jpg": "a.jpg", "a.png": "a.png", "b.png": "b"},
        {"A.jpg": "A.jpg", "a.png": "a.png"},
        {"x/a.jpg": "x/a", "y/a.jpg": "y/a", "z/a.png": "a.png"},
        {"x/z/a.jpg": "x/z/a", "y/z/a.jpg": "y/z/a"},
        {"a.jpg": "a", "x/a.jpg": "x/a"},
        {"x/a.jpg": "x/a", "y/x/a.jpg": "y/x/a"},
        {"a.jpg": "a.jpg", "a.png": "a.png", "a.jpg.png": "a.jpg.png"},
        {"x/a.jpg": "x/a", "y/a.jpg": "y/a", "x_a.jpg.png": "x_a.jpg"},
    ],
)
def test_names_of_results_of_named_files(expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in map(Path, expected):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for order in permutations(expected):
        assert named(*order) == expected


def test_below_a_folder_results_are_called_as_the_images_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in map(Path, ("ds/top.png", "ds/day1/img.png", "ds/day2/img.png", "ds/day2/img.jpg")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    below = {
        "ds/day1/img.png": "day1/img",
        "ds/day2/img.jpg": "day2/img.jpg",
        "ds/day2/img.png": "day2/img.png",
        "ds/top.png": "top",
    }
    assert named("ds", recursive=True) == named("ds/**") == below
    assert named("ds/../ds", recursive=True).values() != []
    assert list(named(tmp_path / "ds", recursive=True).values()) == list(below.values())
    # What is given decides, not what else lies there: a further image renames none.
    Path("ds/day3").mkdir()
    Path("ds/day3/img.png").touch()
    assert named("ds", recursive=True) == below | {"ds/day3/img.png": "day3/img"}
    assert named("ds/day1", "ds/day3") == {
        "ds/day1/img.png": "day1/img",
        "ds/day3/img.png": "day3/img",
    }
    assert named("ds/day1", "ds/top.png") == {"ds/day1/img.png": "img", "ds/top.png": "top"}
    assert named("ds/day?/img.png") == {
        f"ds/day{day}/img.png": f"day{day}/img" for day in (1, 2, 3)
    }


def test_names_of_results_end_in_numbers_where_nothing_else_helps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "A.jpg"):
        Path(name).touch()
    assert named("a.jpg", "A.jpg") == {"a.jpg": "a.jpg_1", "A.jpg": "A.jpg_2"}
    accents = [unicodedata.normalize(form, "\u00e9.jpg") for form in ("NFC", "NFD")]
    for name in accents:
        Path(name).touch()
    assert len({unicodedata.normalize("NFC", name) for name in named(*accents).values()}) == 2


WORDS = st.sampled_from(["a", "A", "b", "a_b", "b_a", "a.jpg", "a.jpg_1", "x"])
PATHS = st.builds(
    lambda folders, stem, suffix: Path(*folders, stem + suffix),
    st.lists(WORDS, max_size=3),
    WORDS,
    st.sampled_from([".jpg", ".JPG", ".png", ".jpg.png"]),
)


@given(st.lists(st.tuples(PATHS, st.booleans()), unique_by=lambda one: one[0], max_size=12))
def test_names_of_results_are_always_unique(paths):
    found = [(path, path.as_posix() if below else path.name) for path, below in paths]
    names = _names(found) if found else {}
    assert list(names) == [path for path, _ in found]
    folded = Counter(name.casefold() for name in names.values())
    assert all(uses == 1 for uses in folded.values())
    for path, name in names.items():
        assert name.rpartition("/")[2].startswith(path.stem)


def write_half(target, error, named=False):
    with write_atomically(target) as temporary:
        temporary.write_text("half", encoding="utf-8")
        if named:
            error.filename = str(temporary)
        if error:
            raise error


def deny(source, target):
    raise PermissionError(errno.EACCES, "Permission denied", str(source))


def left(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_writing_replaces_the_file_at_the_end(tmp_path):
    target = tmp_path / "new" / "folder" / "edges.png"
    for content in ("first", "second"):
        with write_atomically(target) as temporary:
            temporary.write_text(content, encoding="utf-8")
            assert temporary.parent == target.parent
            assert temporary.suffix == ".png"
            assert temporary.name.startswith(".")
            assert not target.exists() or target.read_text(encoding="utf-8") == "first"
        assert target.read_text(encoding="utf-8") == content
        assert left(tmp_path) == ["edges.png"]


def test_two_writers_do_not_meet(tmp_path):
    target = tmp_path / "a.txt"
    with write_atomically(target) as one, write_atomically(str(target)) as two:
        assert one != two
        one.write_text("one", encoding="utf-8")
        two.write_text("two", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "one"
    assert left(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_the_file_gets_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    with write_atomically(tmp_path / "atomic") as temporary:
        temporary.touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")}
    assert len(modes) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, RuntimeError])
def test_any_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(error):
        write_half(target, error())
    assert target.read_text(encoding="utf-8") == "old"
    assert left(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("named", [True, False])
def test_a_full_disk_leaves_nothing_and_names_the_file(tmp_path, named):
    target = tmp_path / "a.png"
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as caught:
        write_half(target, error, named)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(target)
    assert left(tmp_path) == []


def test_further_errors_of_the_system_name_the_right_file(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    with pytest.raises(OSError, match=r"a\.png: encoder error"), write_atomically(target):
        raise OSError("encoder error -2")
    with pytest.raises(FileNotFoundError, match=r"lost\.png"), write_atomically(target):
        (tmp_path / "lost.png").read_bytes()
    with pytest.raises(FileNotFoundError, match=r"a\.png"), write_atomically(target):
        pass  # nothing was written
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), write_atomically(tmp_path / "file" / "a.png"):
        pytest.fail("there is no folder to write to")

    monkeypatch.setattr(Path, "replace", deny)
    with pytest.raises(PermissionError, match=r"'.*a\.png'$"):
        write_half(target, None)
    assert left(tmp_path) == ["file"]


def test_what_a_killed_writer_left_is_taken_away_and_nothing_else(tmp_path):
    (tmp_path / "below").mkdir()
    kept = [tmp_path / name for name in ("a.png", ".part.png", ".0123.part.png", "below/b.part")]
    for path in kept:
        path.touch()
    writer = """
import os, sys
from trace_edges.files import write_atomically
with write_atomically(sys.argv[1]) as temporary:
    temporary.touch()
    print(flush=True)
    if sys.stdin.readline():
        os._exit(1)
"""
    command = [sys.executable, "-c", writer, str(tmp_path / "below" / "c.png")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    killed, alive = (subprocess.Popen(command, **pipes) for _ in range(2))
    for process in (killed, alive):
        process.stdout.readline()
    killed.communicate("\n")
    assert len(list((tmp_path / "below").iterdir())) == 3
    remove_temporaries(tmp_path)
    assert len(list((tmp_path / "below").iterdir())) == 2  # a process writes there
    alive.communicate("\n")
    remove_temporaries(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_pipes_and_devices_are_refused_before_they_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(InputError, match="is a pipe or a device; write it to a file first"):
            find_images([path])
    (tmp_path / "a.png").touch()
    found = find_images([tmp_path])
    assert [path.name for path in found.images] == ["a.png"]
    assert [str(one) for one in found.problems] == [
        f"{tmp_path / 'pipe.png'}: is a pipe or a device; take it out"
    ]


def test_linked_folders_are_searched_once_and_loops_end(tmp_path):
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/deep/a.png").touch()
    for link in ("data/deep/loop", "data/again", "data/deep/loop2"):
        (tmp_path / link).symlink_to(tmp_path / "data")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.png").touch()
    (tmp_path / "data/linked").symlink_to(tmp_path / "elsewhere")
    for folder, recursive in ((tmp_path / "data", True), (tmp_path / "data/**", False)):
        found = find_images([folder], recursive).images
        assert sorted(path.name for path in found) == ["a.png", "b.png"]


def test_images_whose_library_is_missing_are_counted_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr("trace_edges.inputs._reads", lambda suffix: suffix in IMAGE_SUFFIXES)
    for name in ("a.png", "b.HEIC", "c.heic", "d.avif", "e.jp2"):
        (tmp_path / name).touch()
    found = find_images([tmp_path])
    assert [path.name for path in found.images] == ["a.png"]
    (problem,) = found.problems
    assert "images of formats that need an extra: 1 .avif, 2 .heic, 1 .jp2" in str(problem)
    assert str(problem).endswith('pip install "trace-edges[formats]"')
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match=r"need an extra: 1 \.avif, 2 \.heic, 1 \.jp2"):
        find_images([tmp_path])


def test_images_whose_library_is_there_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("trace_edges.inputs._reads", lambda suffix: True)
    for name in ("b.HEIC", "d.avif", "e.jp2", "f.jxl"):
        (tmp_path / name).touch()
    found = find_images([tmp_path])
    assert [path.name for path in found.images] == ["b.HEIC", "d.avif", "e.jp2", "f.jxl"]
    assert (found.problems, found.passed_over) == ((), ())


def test_files_that_are_never_read_are_counted_and_no_failure(tmp_path):
    others = ("a.CR2", "a.nef", "b.NEF", "c.dng", "d.svg", "e.pdf", "f.mp4")
    for name in ("a.png", "notes.txt", *others):
        (tmp_path / name).touch()
    found = find_images([tmp_path])
    assert ([path.name for path in found.images], found.problems) == (["a.png"], ())
    counted = "1 .cr2, 1 .dng, 1 .mp4, 2 .nef, 1 .pdf, 1 .svg"
    assert found.passed_over == (
        f"{tmp_path}: files of kinds that are not read are passed over: {counted}",
    )
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match=r"is a folder without images .* files of kinds"):
        find_images([tmp_path])


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    found = find_images([tmp_path])
    assert [path.name for path in found.images] == ["a.png"]
    assert [str(one) for one in found.problems] == [
        f"{tmp_path / 'b.png'}: is a link to nothing; take it out"
    ]


def test_what_commands_wrote_is_no_photograph_wherever_it_lies(tmp_path):
    for name in ("photo.png", "out/panoptic/photo.png", "job/panoptic/a.png", "out/mine.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "out/panoptic/photo.png").unlink()
    with Outputs("panoptic").writing(), write_atomically(tmp_path / "out/panoptic/photo.png") as to:
        to.write_bytes(b"ours")
    written = tmp_path / "job/.annotate/written"
    written.parent.mkdir()
    (tmp_path / "job/panoptic/a.png").unlink()
    with (
        Outputs("annotate", ledger=written).writing(),
        write_atomically(tmp_path / "job/panoptic/a.png") as to,
    ):
        to.write_bytes(b"ours")
    found = find_images([tmp_path], recursive=True)
    assert list(found.names.values()) == ["out/mine", "photo"]
