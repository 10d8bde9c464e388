import io
import json
import tarfile

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools.coco import COCO

from trace_edges.formats.classes import table_of_numbers
from trace_edges.jobs import (
    EdgesTask,
    InstancesTask,
    Job,
    PanopticTask,
    Regions,
    Selection,
    Shard,
    annotate,
    make_sink,
    open_source,
)  # fmt: skip
from trace_edges.jobs.sinks import FolderSink, PartSink

from .conftest import FakeModel, failures, png

GOOD = ["1", "2", "4", "5", "7", "8", *(f"below/{number}" for number in (0, 3, 6, 9))]


def test_every_good_picture_has_one_result_and_every_bad_one_a_reason(photos, make_job, results):
    job = make_job(open_source(str(photos)))
    status = annotate(job)
    assert (status.open, status.done, status.failed, status.now) == (0, 10, 2, 12)
    out = photos.parent / "out"
    names = {f"{key}.{suffix}" for key in GOOD for suffix in ("edges.png", "json")}
    assert set(results(out)) == names | {"report.csv"}
    reasons = failures(out)
    assert list(reasons) == ["broken", "cut"]
    assert reasons["broken"].startswith("broken.jpg: is not a JPEG")
    assert "cut.png: cannot be decoded" in reasons["cut"]
    record = json.loads((out / "below" / "3.json").read_text(encoding="utf-8"))
    size = {"height": 24, "width": 48}
    assert record == {"key": "below/3", "file": "below/3.png", **size, "notes": [], "timestep": 7}
    with Image.open(out / "below" / "3.edges.png") as edges:
        assert edges.size == (48, 24)
        assert np.asarray(edges).any()


def test_the_same_job_again_does_nothing(photos, make_job, results):
    annotate(make_job(open_source(str(photos))))
    before = results(photos.parent / "out")
    again = make_job(open_source(str(photos)))
    status = annotate(again)
    assert (status.done, status.failed, status.now) == (10, 2, 0)
    assert again.model.sizes == []
    assert results(photos.parent / "out") == before


def test_what_is_new_is_done_and_what_is_mended_on_demand(photos, make_job):
    annotate(make_job(open_source(str(photos))))
    (photos / "broken.jpg").write_bytes(png(1))
    (photos / "new.png").write_bytes(png(2))
    status = annotate(make_job(open_source(str(photos))))
    assert (status.done, status.failed, status.now) == (11, 2, 1)
    status = annotate(make_job(open_source(str(photos)), retry=True))
    assert (status.done, status.failed, status.now) == (12, 1, 2)
    assert list(failures(photos.parent / "out")) == ["cut"]


def test_neither_workers_nor_an_interruption_change_a_byte(photos, make_job, results):
    source = open_source(str(photos))
    annotate(make_job(source, "a", batch_size=3, to="tar", part=4))
    annotate(make_job(source, "b", batch_size=3, to="tar", part=4, workers=1))

    def stop_after(images):
        def stop(status):
            if status.now == images:
                raise KeyboardInterrupt

        return stop

    for images in (1, 2, 1, 3):
        with pytest.raises(KeyboardInterrupt):
            annotate(make_job(source, "c", batch_size=3, to="tar", part=4), stop_after(images))
    last = make_job(source, "c", batch_size=3, to="tar", part=4)
    annotate(last)
    first = results(photos.parent / "a")
    assert list(first) == [f"part-00000{n}.tar" for n in range(3)] + ["report.csv"]
    assert results(photos.parent / "b") == first
    assert results(photos.parent / "c") == first
    assert not (photos.parent / "c" / ".annotate" / "results").exists()


def test_pictures_of_one_size_share_batches_that_kills_do_not_change(photos, make_job):
    job = make_job(open_source(str(photos)), batch_size=2)
    annotate(job)
    assert sorted(job.model.sizes) == [1, 1, 2, 2, 2, 2]  # five of each size
    before = job.model.sizes.copy()
    other = make_job(open_source(str(photos)), "other", batch_size=2)

    def stop(status):
        if status.now == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate(other, stop)
    other.model.sizes.clear()
    annotate(other)
    assert other.model.sizes == before  # the batch of the one that is done is read again


def test_shards_do_everything_once(photos, make_job, results):
    for index in (1, 2):
        annotate(make_job(open_source(str(photos)), shard=Shard(index, 2)))
    found = results(photos.parent / "out")
    assert {name for name in found if name.endswith(".edges.png")} == {
        f"{key}.edges.png" for key in GOOD
    }
    reports = [failures(photos.parent / "out", f"report-{n}-of-2.csv") for n in (1, 2)]
    assert sorted([*reports[0], *reports[1]]) == ["broken", "cut"]


def test_other_settings_are_refused_before_anything_is_done(photos, make_job, results):
    annotate(make_job(open_source(str(photos))))
    before = results(photos.parent / "out")
    with pytest.raises(ValueError, match='format "png", not "npy"'):
        annotate(make_job(open_source(str(photos)), task=EdgesTask("npy")))
    assert results(photos.parent / "out") == before


def test_parquet_holds_the_files_as_columns(photos, make_job):
    annotate(make_job(open_source(str(photos)), to="parquet", part=8))
    tables = [pq.read_table(path) for path in sorted((photos.parent / "out").glob("*.parquet"))]
    assert [table.num_rows for table in tables] == [8, 2]
    assert tables[0].column_names == ["key", "height", "width", "timestep", "edges_png", "record"]
    row = tables[0].to_pylist()[0]
    assert (row["key"], row["height"], row["timestep"]) == ("1", 24, 7)
    with Image.open(io.BytesIO(row["edges_png"])) as edges:
        assert edges.size == (row["width"], 24)


def test_a_part_without_a_result_is_there_and_empty(tmp_path, make_job):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_text("none", encoding="utf-8")
    for form in ("parquet", "tar"):
        assert annotate(make_job(open_source(str(tmp_path / "p")), form, to=form)).failed == 1
    assert pq.read_table(tmp_path / "parquet" / "part-000000.parquet").num_rows == 0
    with tarfile.open(tmp_path / "tar" / "part-000000.tar") as tar:
        assert tar.getnames() == []


def test_a_tar_of_results_groups_them_as_a_webdataset_does(tmp_path, make_job):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.v2.png").write_bytes(png(1))
    annotate(make_job(open_source(str(tmp_path / "p")), to="tar"))
    with tarfile.open(tmp_path / "out" / "part-000000.tar") as tar:
        assert tar.getnames() == ["a%2Ev2.edges.png", "a%2Ev2.json"]


def test_coco_json_keeps_ids_and_names_of_the_source(tmp_path, make_job):
    (tmp_path / "p").mkdir()
    listed = [{"id": 7, "file_name": "b.png"}, {"id": 3, "file_name": "a.png"}]
    for image in listed:
        (tmp_path / "p" / image["file_name"]).write_bytes(png(image["id"]))
    (tmp_path / "set.json").write_text(json.dumps({"images": listed}), encoding="utf-8")
    source = open_source(str(tmp_path / "set.json"), images=str(tmp_path / "p"))
    task = InstancesTask(Regions(Selection(count=3)))
    annotate(make_job(source, to="coco", task=task))
    found = COCO(tmp_path / "out" / "instances.json")
    assert {number: image["file_name"] for number, image in found.imgs.items()} == {
        7: "b.png",
        3: "a.png",
    }
    assert [len(found.getAnnIds(imgIds=[number])) for number in (7, 3)] == [3, 3]
    whole = sum(found.annToMask(one).sum() for one in found.loadAnns(found.getAnnIds(imgIds=[3])))
    assert whole == 24 * 32


def test_panoptic_cuts_the_semantic_map_of_every_key(photos, make_job):
    maps = photos.parent / "maps"
    (maps / "below").mkdir(parents=True)
    for key in GOOD[1:]:
        width = 32 + 16 * (int(key[-1]) % 2)
        labels = np.ones((24, width), dtype=np.uint8)
        labels[:, : width // 2] = 0
        Image.fromarray(labels).save(maps / f"{key}.png")
    task = PanopticTask(maps, table_of_numbers([1], [0]))
    status = annotate(make_job(open_source(str(photos)), to="coco", task=task))
    assert (status.done, status.failed) == (9, 3)
    out = photos.parent / "out"
    assert "contains no 1.png or 1.npy" in failures(out)["1"]
    content = json.loads((out / "panoptic.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in content["categories"]] == ["class 0", "class 1"]
    for annotation in content["annotations"]:
        with Image.open(out / "panoptic" / annotation["file_name"]) as picture:
            ids = np.asarray(picture).astype(int) @ (1, 256, 65536)
        areas = {one["id"]: one["area"] for one in annotation["segments_info"]}
        assert areas == {int(n): int((ids == n).sum()) for n in np.unique(ids)}


def test_forms_that_cannot_hold_a_task_are_refused():
    with pytest.raises(ValueError, match="COCO JSON cannot hold edges"):
        make_sink("out", "coco", EdgesTask())
    with pytest.raises(ValueError, match="unknown form 'zip'"):
        make_sink("out", "zip", EdgesTask())


def test_results_do_not_become_inputs(photos, make_job):
    for name in ("photos", "photos/out"):
        with pytest.raises(ValueError, match="lies in the source"):
            make_job(open_source(str(photos)), name)
    make_job(open_source(str(photos)), "photos2")


def test_source_and_destination_may_both_be_urls(tmp_path):
    memory = fsspec.filesystem("memory")
    for number in range(3):
        memory.pipe_file(f"/from/{number}.png", png(number))
    task, dest = EdgesTask(), "memory://to"
    sink = make_sink(dest, "tar", task, part=2)
    source = open_source("memory://from")
    job = Job(source, task, sink, FakeModel(), dest, workers=0, state=tmp_path)
    try:
        assert annotate(job).done == 3
        assert memory.exists("/to/part-000001.tar")
        with tarfile.open(fileobj=io.BytesIO(memory.cat_file("/to/part-000000.tar"))) as tar:
            assert len(tar.getnames()) == 4
        assert memory.cat_file("/to/report.csv") == b"key,reason,state\n"
        assert not memory.exists("/to/.annotate/results")
        with pytest.raises(ValueError, match="only this process can read it"):
            annotate(Job(source, task, sink, FakeModel(), dest, workers=1, state=tmp_path))
        with pytest.raises(ValueError, match="is not a folder on this machine"):
            annotate(Job(source, task, sink, FakeModel(), dest, workers=0))
    finally:
        memory.rm("/from", recursive=True)
        memory.rm("/to", recursive=True)


def test_a_kill_between_a_finished_part_and_its_seal_leaves_no_second_one(
    photos, make_job, results, monkeypatch
):
    source = open_source(str(photos))
    annotate(make_job(source, "whole", to="tar", part=4))

    def killed(self, items):
        raise KeyboardInterrupt

    for method in ("seal", "release"):  # before the part is written, and after it is sealed
        with monkeypatch.context() as patch:
            patch.setattr(PartSink, method, lambda self, *_: killed(self, _))
            with pytest.raises(KeyboardInterrupt):
                annotate(make_job(source, to="tar", part=4))
    annotate(make_job(source, to="tar", part=4))
    assert results(photos.parent / "out") == results(photos.parent / "whole")


@pytest.mark.parametrize("name", ["file.parquet", "file.parquet/deep"])
def test_a_file_in_the_place_of_the_results_is_named_with_the_mend(name, photos, make_job):
    (photos.parent / "file.parquet").write_bytes(b"mine")
    with pytest.raises(NotADirectoryError, match="is not a folder: give one for the results"):
        annotate(make_job(open_source(str(photos)), name=name))
    assert (photos.parent / "file.parquet").read_bytes() == b"mine"


def test_a_disk_that_is_full_stops_the_job_and_keeps_what_is_done(photos, make_job, monkeypatch):
    keep, kept = FolderSink.keep, []

    def full(self, key, files):
        if len(kept) == 3:
            raise OSError(28, "No space left on device", key)
        kept.append(key)
        keep(self, key, files)

    with monkeypatch.context() as patch:
        patch.setattr(FolderSink, "keep", full)
        with pytest.raises(OSError, match="No space left"):
            annotate(make_job(open_source(str(photos))))
    status = annotate(make_job(open_source(str(photos))))
    assert (status.done, status.now >= 8) == (10, True)
