import shutil
import sqlite3

import pytest

from trace_edges.images import ImageError
from trace_edges.jobs.entries import Entry
from trace_edges.jobs.manifest import Manifest
from trace_edges.jobs.places import FilePlace, NoPlace

SETTINGS = {"resolution": 512, "layers": [1, 2], "url": "a"}


def entries(*keys):
    return [Entry(key, FilePlace(key), f"{key}.png") for key in keys]


def keys(stretches):
    return [[item.key for item in stretch] for stretch in stretches]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "manifest.sqlite"


def test_what_was_marked_is_known_to_the_next_run(path):
    with Manifest(path, SETTINGS) as manifest:
        manifest.register(entries("a", "b", "c"), 1)
        manifest.mark(0)
        manifest.mark(2, "is damaged")
    with Manifest(path, SETTINGS) as manifest:
        manifest.register(entries("a", "b", "c", "d"), 1)
        assert keys(manifest.stretches(10, whole=False)) == [["b", "d"]]
        assert keys(manifest.stretches(10, whole=True)) == [["a", "b", "c", "d"]]
        assert keys(manifest.stretches(2, whole=True)) == [["a", "b"], ["c", "d"]]
        assert manifest.counts() == {"open": 2, "done": 1, "failed": 1}
        assert list(manifest.failures()) == [("c", "is damaged")]
        assert [item.key for item in manifest.done()] == ["a"]


def test_stretches_where_nothing_is_open_are_left_out(path):
    with Manifest(path, SETTINGS) as manifest:
        manifest.register(entries(*"abcdef"), 1)
        for position in (2, 3):
            manifest.mark(position)
        assert keys(manifest.stretches(2, whole=True)) == [["a", "b"], ["e", "f"]]


def test_other_settings_are_refused_and_named(path):
    with Manifest(path, SETTINGS):
        pass
    with pytest.raises(ValueError, match="begun with ") as caught:
        Manifest(path, SETTINGS | {"resolution": 384, "seed": 1})
    assert "resolution 512, not 384; seed nothing, not 1" in str(caught.value)
    assert "layers" not in str(caught.value)
    with Manifest(path, SETTINGS):  # it was let go of
        pass


def test_a_second_process_is_shut_out(path):
    with Manifest(path, SETTINGS), pytest.raises(ValueError, match="another process works on"):
        Manifest(path, SETTINGS)


def test_what_is_no_manifest_is_refused(path):
    path.parent.mkdir()
    path.write_text("text" * 1000, encoding="utf-8")
    with pytest.raises(ValueError, match="is not a manifest of a job"):
        Manifest(path, SETTINGS)


def test_of_two_inputs_with_one_key_the_second_is_reported(path):
    for _ in range(2):
        with Manifest(path, SETTINGS) as manifest:
            manifest.register(entries("a", "b", "c", "b", "b"), 1)
            found = [item for (item,) in manifest.stretches(1, whole=False)]
        assert [item.key for item in found[:3]] == ["a", "b", "c"]
        assert len({item.key for item in found}) == 5
        for item in found[3:]:
            with pytest.raises(ImageError, match=r"another input is called b too; rename one"):
                item.place.read()


def test_a_source_without_an_image_is_refused(path):
    with Manifest(path, SETTINGS) as manifest, pytest.raises(ValueError, match="holds no image"):
        manifest.register([], 1)


def test_what_was_unusable_and_is_mended_is_new_and_what_is_gone_is_forgotten(path):
    problem = NoPlace("t.tar: is a damaged tar")
    with Manifest(path, SETTINGS) as manifest:
        manifest.register([Entry(key, problem, key) for key in ("t", "u", "v")], 1)
        for position in range(3):
            manifest.mark(position, "t.tar: is a damaged tar")
    with Manifest(path, SETTINGS) as manifest:
        manifest.register([*entries("t/1", "u"), Entry("v", problem, "v")], 1)
        assert manifest.counts() == {"open": 2, "done": 0, "failed": 1}
        assert [key for key, _ in manifest.failures()] == ["v"]


def test_a_state_that_is_taken_away_is_told_in_one_line(path):
    gone = pytest.raises(OSError, match=r"manifest\.sqlite: the state of the job cannot be kept")
    with gone, Manifest(path, SETTINGS) as manifest:
        manifest.register(entries("a"), 1)
        shutil.rmtree(path.parent)
        manifest.mark(0)
        manifest.commit()


def test_a_place_that_moved_is_taken_up(path):
    with Manifest(path, SETTINGS) as manifest:
        manifest.register(entries("a"), 1)
    with Manifest(path, SETTINGS) as manifest:
        manifest.register([Entry("a", FilePlace("t.tar", 512, 9), "a.png")], 1)
        ((item,),) = manifest.stretches(1, whole=False)
        assert item.place == FilePlace("t.tar", 512, 9)


def test_what_is_new_begins_behind_the_parts_that_are_sealed(path):
    with Manifest(path, SETTINGS) as manifest:
        manifest.register(entries("a", "b", "c"), 2)
        assert manifest.unsealed(2) == {0: 2, 1: 1}
        for position in range(3):
            manifest.mark(position, "no" if position == 2 else "")
        manifest.seal(0)
        manifest.seal(1)
        assert manifest.unsealed(2) == {}
    with Manifest(path, SETTINGS) as manifest:
        manifest.register(entries("a", "b", "c", "d"), 2)
        assert manifest.unsealed(2) == {2: 1}
        manifest.retry(2)
        assert manifest.counts() == {"open": 2, "done": 2, "failed": 0}
        assert manifest.unsealed(2) == {2: 2}
        assert keys(manifest.stretches(2, whole=False)) == [["d", "c"]]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE settings SET value = x'ff00'",
        "UPDATE settings SET value = '{'",
        *(f"UPDATE items SET place = '{place}'" for place in (
            "", "[]", "null", '["os", {}]', '["FilePlace", {"x": 1}]', '["FilePlace", 3]')),
    ],
)  # fmt: skip
def test_a_manifest_that_was_changed_by_hand_is_named(path, change):
    with Manifest(path, SETTINGS) as manifest:
        manifest.register(entries("a"), 1)
    base = sqlite3.connect(path)
    base.execute(change)
    base.commit()
    base.close()
    named = pytest.raises(ValueError, match=r"\.sqlite is not a manifest of a job \(.*remove")
    with named, Manifest(path, SETTINGS) as manifest:
        list(manifest.stretches(1, whole=True))


def test_a_folder_in_the_place_of_the_manifest_is_named(path):
    path.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"manifest\.sqlite is not a manifest .*it is not a file"):
        Manifest(path, SETTINGS)
