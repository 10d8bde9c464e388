import io
import json
import os
import tarfile

import datasets
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trace_edges.images import ImageError
from trace_edges.jobs import Shard, open_source
from trace_edges.jobs.entries import Entry, checked, pack, unpack
from trace_edges.jobs.places import FilePlace, NoPlace

from .conftest import png


def content(source):
    """What is read at every place, after it has been text."""
    return {entry.key: unpack(pack(entry)).read() for entry in source.entries()}


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_a_folder_gives_every_picture_below_it_by_its_path(photos):
    (photos / ".hidden.png").write_bytes(b"")
    (photos / "1.edges.png").write_bytes(b"")
    (photos / "notes.txt").write_bytes(b"")
    (photos / "2.jpg").write_bytes(b"two")
    found = content(open_source(str(photos)))
    below = [f"below/{number}" for number in (0, 3, 6, 9)]
    assert list(found) == ["1", "2.jpg", "2.png", "4", "5", "7", "8", *below, "broken", "cut"]
    assert found["below/3"] == png(3, width=48)
    assert found["2.jpg"] == b"two"
    assert content(open_source(f"file://{photos}")) == found


def test_links_to_images_and_to_their_folder_are_followed_and_others_reported(photos, tmp_path):
    """Data sets are often folders of links."""
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "one.png").symlink_to(photos / "1.png")
    (linked / "none.png").symlink_to(photos / "nothing.png")
    (linked / "loop.png").symlink_to(linked / "loop.png")
    (tmp_path / "again").symlink_to(linked)
    os.mkfifo(linked / "pipe.png")
    entries = {one.key: one for one in open_source(str(tmp_path / "again")).entries()}
    assert set(entries) == {"one", "none", "loop", "pipe"}
    assert entries.pop("one").place.read() == (photos / "1.png").read_bytes()
    said = {"none": "a link to nothing", "loop": "a link to nothing", "pipe": "a pipe or a device"}
    for key, words in said.items():
        with pytest.raises(ImageError, match=f"{key}.png: is {words}"):
            entries[key].place.read()


def test_a_folder_that_cannot_be_listed_is_reported(photos, monkeypatch):
    """As root, who runs some tests, every folder can be listed: so the system is made to refuse."""
    listed = os.scandir

    def fake_scandir(path):
        if str(path).endswith("below"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", fake_scandir)
    *seen, shut = open_source(str(photos)).entries()
    assert [one.key for one in seen] == ["1", "2", "4", "5", "7", "8", "broken", "cut"]
    with pytest.raises(ImageError, match=r"below: cannot be listed \(Permission denied\)"):
        shut.place.read()
    assert checked(shut).key.startswith("unusable-")


def test_a_pattern_gives_what_it_matches(photos):
    assert list(content(open_source(f"{photos}/*/[03].png"))) == ["below/0", "below/3"]
    assert list(content(open_source(f"{photos}/below/*.png"))) == ["0", "3", "6", "9"]


def test_urls_are_read_through_fsspec():
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/set/a/1.png", png(1))
    try:
        assert content(open_source("memory://set")) == {"a/1": png(1)}
    finally:
        memory.rm("/set", recursive=True)
    with pytest.raises(ValueError, match="Protocol not known: nowhere"):
        open_source("nowhere://set")


def test_of_a_sample_of_a_tar_the_picture_with_just_a_suffix_is_taken(tmp_path):
    write_tar(
        tmp_path / "a-000.tar",
        {"x/1.jpg": b"one", "x/1.seg.png": b"map", "x/1.json": b"{}", "2.v2.png": b"two"},
    )
    write_tar(tmp_path / "a-001.tar", {"./1.webp": b"three"})
    expected = {"a-000/x/1": b"one", "a-000/2.v2": b"two", "a-001/1": b"three"}
    for url in (tmp_path, tmp_path / "a-*.tar", tmp_path / "a-{000..001}.tar"):
        assert content(open_source(str(url))) == expected


def test_of_a_damaged_tar_what_can_be_listed_is_done_and_the_rest_reported(tmp_path):
    write_tar(tmp_path / "a.tar", {"1.png": png(1), "2.png": png(2)})
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:1500])
    (tmp_path / "b.tar").write_bytes(b"no tar" * 200)
    entries = list(open_source(str(tmp_path)).entries())
    assert [entry.key for entry in entries][-1] == "b"
    with pytest.raises(ImageError, match=r"b\.tar: is a damaged tar"):
        entries[-1].place.read()
    assert entries[0].key == "a/1"
    assert entries[0].place.read() == png(1)


def test_coco_gives_its_images_with_ids_in_its_order(tmp_path):
    (tmp_path / "p").mkdir()
    listed = [{"id": 9, "file_name": "b.png"}, {"id": 4, "file_name": "a.png"}]
    for image in listed:
        (tmp_path / "p" / image["file_name"]).write_bytes(image["file_name"].encode())
    (tmp_path / "set.json").write_text(json.dumps({"images": listed}), encoding="utf-8")
    source = open_source(str(tmp_path / "set.json"), images=str(tmp_path / "p"))
    assert content(source) == {"b": b"b.png", "a": b"a.png"}
    assert [(e.number, e.name) for e in source.entries()] == [(9, "b.png"), (4, "a.png")]
    with pytest.raises(ValueError, match="give their folder with --images"):
        open_source(str(tmp_path / "set.json"))
    (tmp_path / "set.json").write_text(
        json.dumps({"images": [{"id": 1}, *listed]}), encoding="utf-8"
    )
    bad, *sound = source.entries()
    with pytest.raises(ImageError, match=r"set\.json: images\[0\] lacks id or file_name"):
        bad.place.read()
    assert [(e.number, e.name) for e in sound] == [(9, "b.png"), (4, "a.png")]


def test_voc_gives_its_photographs_or_those_of_a_split(tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    for name in ("1", "2"):
        (tmp_path / "JPEGImages" / f"{name}.jpg").write_bytes(name.encode())
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("2\n", encoding="utf-8")
    assert content(open_source(str(tmp_path))) == {"1": b"1", "2": b"2"}
    assert content(open_source(str(tmp_path), split="val")) == {"2": b"2"}
    with pytest.raises(ValueError, match=r"train\.txt: there is no such split"):
        list(open_source(str(tmp_path), split="train").entries())


@pytest.mark.parametrize("struct", [False, True])
def test_parquet_gives_its_rows(tmp_path, struct):
    cells = [{"bytes": png(n), "path": None} if struct else png(n) for n in range(5)]
    table = pa.table({"name": list("abcde"), "image": cells})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    expected = [png(n) for n in range(5)]
    found = content(open_source(str(tmp_path)))
    assert list(found) == [f"t/{n:08d}" for n in range(5)]
    assert list(found.values()) == expected
    named = content(open_source(str(tmp_path / "t.parquet"), key_column="name"))
    assert list(named) == ["t/a", "t/b", "t/c", "t/d", "t/e"]
    with pytest.raises(ValueError, match="no column 'nothing'; it has name, image"):
        list(open_source(str(tmp_path), column="nothing").entries())


def test_parquet_without_a_column_of_bytes_is_refused(tmp_path):
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "t.parquet")
    with pytest.raises(
        ValueError, match=r"t\.parquet: has no column of bytes, one image a row; it has name"
    ):
        list(open_source(str(tmp_path)).entries())
    (tmp_path / "t.parquet").write_text("text", encoding="utf-8")
    with pytest.raises(ValueError, match=r"t\.parquet: is a damaged Parquet file"):
        list(open_source(str(tmp_path)).entries())


def test_a_saved_dataset_gives_the_bytes_of_its_images(tmp_path):
    rows = {"picture": [{"bytes": png(n), "path": None} for n in range(3)], "label": [0, 1, 2]}
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.Value("int32")})
    one = datasets.Dataset.from_dict(rows, features=features)
    one.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": one, "test": one.select([2])}).save_to_disk(tmp_path / "both")
    expected = {f"{n:08d}": png(n) for n in range(3)}
    assert content(open_source(str(tmp_path / "one"))) == expected
    both = content(open_source(str(tmp_path / "both")))
    assert list(both) == [*(f"train/{key}" for key in expected), "test/00000000"]
    assert both["test/00000000"] == png(2)
    assert len(content(open_source(str(tmp_path / "both"), split="test"))) == 1


def test_what_load_dataset_finds_is_read_as_well(tmp_path, monkeypatch):
    """A folder in place of an id on the hub: the same function of `datasets` opens both."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    Image.open(io.BytesIO(png(1))).save(tmp_path / "set" / "a.png")
    source = open_source(str(tmp_path / "set"), "datasets")
    ((key, data),) = content(source).items()
    assert key == "train/00000000" or key == "00000000"
    assert data == (tmp_path / "set" / "a.png").read_bytes()


def test_options_of_another_kind_are_refused(photos):
    with pytest.raises(ValueError, match="split is not for a source of kind folder"):
        open_source(str(photos), split="val")
    with pytest.raises(ValueError, match="there is no such file or folder"):
        list(open_source(str(photos / "nothing")).entries())
    with pytest.raises(ValueError, match=r"there is no \.tar there"):
        list(open_source(str(photos / "nothing.tar")).entries())


@pytest.mark.parametrize("key", ["../out", "a//b", "/etc/x", "a\\b", "x" * 300])
def test_a_key_that_cannot_be_a_file_goes_to_the_report(key):
    entry = checked(Entry(key, FilePlace("a"), "n"))
    assert entry.key.startswith("unusable-")
    with pytest.raises(ImageError, match="rename it"):
        entry.place.read()
    assert checked(Entry("a/b c.d", NoPlace(""), "n")).key == "a/b c.d"


def test_shards_share_every_key_out_once():
    shards = [Shard(index, 3) for index in (1, 2, 3)]
    sizes = [sum(f"k{n}" in shard for n in range(900)) for shard in shards]
    assert sum(sizes) == 900
    assert min(sizes) > 240
    for n in range(50):
        assert sum(f"k{n}" in shard for shard in shards) == 1
    for index, count in ((0, 3), (4, 3), (1, 0)):
        with pytest.raises(ValueError, match="give 1/"):
            Shard(index, count)
