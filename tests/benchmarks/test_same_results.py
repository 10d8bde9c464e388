"""Two folders of results: what counts as a difference and what does not."""

import io
import json
import tarfile

import pytest

from benchmarks.same_results import COMMANDS, compare, compare_bytes, run, translate

ONE_STEP = {
    "image": "a.png", "timestep": 0, "emergence": {"timesteps": [0], "curve": []},
    "settings": {"method": "distilled", "resolution": 128}, "seconds": 1.5, "trace_edges": "1",
}  # fmt: skip
RENAMED = {
    "image": "a.png", "timestep": 0, "emergence": None,
    "settings": {"method": "one-step", "resolution": 128}, "seconds": 2.5, "trace_edges": "2",
}  # fmt: skip


def as_json(content):
    return json.dumps(content).encode()


def packed(**members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def folders(tmp_path):
    """A function that writes the files of each side."""

    def write(before, after):
        for side, files in (("before", before), ("after", after)):
            for name, content in files.items():
                path = tmp_path / side / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return compare(tmp_path / "before", tmp_path / "after")

    return write


def test_the_renamed_words_of_a_record_are_allowed():
    assert compare_bytes("a.json", as_json(ONE_STEP), as_json(RENAMED)) == []
    old = {"settings": {"trajectory": "noise", "refine": 2}}
    new = {"settings": {"method": "training-free", "trajectory": "noise", "subcell": 2}}
    assert compare_bytes("a.json", as_json(old), as_json(new)) == []
    assert translate(translate(ONE_STEP)) == translate(ONE_STEP)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timestep": 99}, "timestep is 0 before, 99 after"),
        ({"timestep": 0.0}, "timestep is 0 before, 0.0 after"),
        ({"emergence": {"timesteps": [0, 99], "curve": [0.1]}}, "emergence is null before"),
        ({"settings": {"method": "one-step"}}, "settings.resolution is 128 only before"),
        ({"more": 1}, "more is 1 only after"),
    ],
)
def test_any_other_difference_of_a_record_is_named(changes, message):
    (found,) = compare_bytes("a.json", as_json(ONE_STEP), as_json(RENAMED | changes))
    assert found.startswith(message)


def test_lists_of_images_and_what_is_no_record_are_equal_to_the_byte_or_differ():
    coco = {"images": [], "annotations": [], "categories": [], "seconds": 1}
    assert compare_bytes("a.json", as_json(coco), as_json(coco)) == []
    assert compare_bytes("a.json", as_json(coco), as_json(coco | {"seconds": 2})) != []
    assert compare_bytes("a.npy", b"1", b"2") == ["1 and 1 bytes differ"]


def test_a_tar_is_compared_by_its_members():
    before = packed(a_png=b"1", a_json=as_json(ONE_STEP))
    assert compare_bytes("a.tar", before, packed(a_png=b"1", a_json=as_json(RENAMED))) == []
    assert compare_bytes("a.tar", before, packed(a_png=b"2", a_json=as_json(RENAMED))) == [
        "a.png: 1 and 1 bytes differ"
    ]
    (found,) = compare_bytes("a.tar", before, packed(a_png=b"1"))
    assert found.startswith("holds ['a.png', 'a.json'] before, ['a.png'] after")


def test_files_of_one_side_alone_are_named_and_the_state_of_a_job_is_not_looked_at(folders):
    before = {"a.png": b"1", "b/c.png": b"1", ".annotate/manifest.sqlite": b"1"}
    after = {"a.png": b"1", "d.png": b"1", ".annotate/manifest.sqlite": b"2"}
    assert folders(before, after) == ["b/c.png: only in before", "d.png: only in after"]


def test_a_command_that_fails_is_a_difference(tmp_path):
    refused = next(command for command in COMMANDS if command.out == "refined.json")
    (tmp_path / "side").mkdir()
    problem = run(refused, tmp_path / "side", tmp_path)
    assert problem.startswith("side: ended with ")
