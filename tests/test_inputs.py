"""Images are found once and in order, and what is no image is said."""

import errno
import os
from pathlib import Path

import pytest

from trace_edges.errors import InputError
from trace_edges.files import write_atomically
from trace_edges.inputs import IMAGE_SUFFIXES, Found, find_images
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
