"""Images that were replaced or moved since their results were made: told, and made on demand."""

import io
import json
import os
import tarfile
from dataclasses import replace

import datasets
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trace_edges.formats.classes import table_of_numbers
from trace_edges.jobs import (
    PanopticTask,
    annotate,
    open_source,
)  # fmt: skip

from .conftest import failures, png


def bmp(number):
    content = io.BytesIO()
    Image.open(io.BytesIO(png(number))).save(content, "BMP")
    return content.getvalue()


@pytest.mark.parametrize("to", ["folder", "tar"])
def test_results_of_a_photograph_that_was_replaced_are_not_taken_for_its_own(
    to, photos, make_job, results
):
    source, out = str(photos), photos.parent / "out"
    annotate(make_job(open_source(source), to=to))
    before = results(out)
    other = png(77, width=160, height=90)
    assert len(other) != (photos / "1.png").stat().st_size
    (photos / "1.png").write_bytes(other)
    for _ in range(2):  # it stays said
        status = annotate(make_job(open_source(source), to=to))
        assert (status.done, status.failed, status.now) == (9, 3, 0)
        assert failures(out)["1"].startswith("1.png: the image has changed since its results")
    status = annotate(make_job(open_source(source), to=to, retry=True))
    if to == "tar":  # the finished file stays as it is
        assert "has changed" in failures(out)["1"]
        assert results(out)["part-000000.tar"] == before["part-000000.tar"]
        with tarfile.open(out / "part-000001.tar") as file:
            assert file.getnames() == []
    else:
        assert (status.done, status.failed) == (10, 2)
        assert results(out)["1.edges.png"] != before["1.edges.png"]


def put_together(folder, form, images):
    """Images by name in a source of one kind; every file has the same two lengths and times."""
    if form in ("memory", "memory-coco", "memory-voc"):
        store = fsspec.filesystem("memory")
        for name, content in images.items():
            store.pipe_file(f"/voc/JPEGImages/{name}", content)
        if form == "memory-coco":
            listed = [{"id": at, "file_name": name} for at, name in enumerate(images)]
            store.pipe_file("/list.json", json.dumps({"images": listed}).encode())
            return open_source("memory://list.json", images="memory://voc/JPEGImages")
        if form == "memory-voc":
            names = "\n".join(name.removesuffix(".jpg") for name in images)
            store.pipe_file("/voc/ImageSets/Segmentation/val.txt", names.encode())
            return open_source("memory://voc", split="val")
        return open_source("memory://voc/JPEGImages", "folder")
    if form == "datasets":
        cells = [{"bytes": content, "path": None} for content in images.values()]
        features = datasets.Features({"image": datasets.Image()})
        rows = datasets.Dataset.from_dict({"image": cells}, features=features)
        rows.save_to_disk(folder / "saved")
        return open_source(str(folder / "saved"))
    place = {"folder": folder / "in", "tar": folder / "in.tar", "parquet": folder / "in.parquet"}[
        form
    ]
    if form == "folder":
        place.mkdir(exist_ok=True)
        for name, content in images.items():
            (place / name).write_bytes(content)
    elif form == "tar":
        with tarfile.open(place, "w") as tar:
            for name, content in images.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    else:
        columns = {"key": list(images), "image": list(images.values())}
        pq.write_table(pa.table(columns), place, compression="none")
    for path in place.glob("*") if form == "folder" else [place]:
        os.utime(path, ns=(10**18, 10**18))
    return open_source(str(place))


@pytest.fixture
def memory():
    """A store that is empty before and after."""
    store = fsspec.filesystem("memory")
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    "form",
    ["folder", "tar", "parquet", "memory", "memory-coco", "memory-voc", "datasets"],
)
def test_a_replacement_of_the_same_length_and_time_is_told(form, tmp_path, make_job, memory):
    first, other, last = (bmp(number) for number in (1, 2, 3))
    assert len(first) == len(other) == len(last)
    before, after = ({"0.jpg": one, "1.jpg": last} for one in (first, other))
    annotate(make_job(put_together(tmp_path, form, before)))
    status = annotate(make_job(put_together(tmp_path, form, before)))  # written again, and the same
    assert (status.done, status.failed, status.now) == (2, 0, 0)
    for _ in range(2):  # it stays said
        status = annotate(make_job(put_together(tmp_path, form, after)))
        assert (status.done, status.failed, status.now) == (1, 1, 0)
        (reason,) = failures(tmp_path / "out").values()
        assert "the image has changed since its results" in reason
    status = annotate(make_job(put_together(tmp_path, form, after), retry=True))
    assert (status.done, status.failed, status.now) == (2, 0, 1)


def test_where_no_replacement_can_be_seen_it_is_said(make_job, memory, monkeypatch):
    """A store that tells no more of its objects than their size."""
    told = {"/in/0.png": {"name": "/in/0.png", "size": len(png(1)), "type": "file"}}
    monkeypatch.setattr(type(memory), "find", lambda *_, **how: told if how else list(told))
    memory.pipe_file("/in/0.png", png(1))
    assert annotate(make_job(open_source("memory://in"))).doubts == ()
    (doubt,) = annotate(make_job(open_source("memory://in"))).doubts
    assert doubt.startswith("1 images have no date or digest where they lie")


def test_results_whose_photographs_are_gone_are_said(photos, make_job):
    assert annotate(make_job(open_source(str(photos)))).doubts == ()
    (photos / "1.png").rename(photos / "renamed.png")
    status = annotate(make_job(open_source(str(photos))))
    assert status.doubts == ("1 images are gone whose results are there, and stay",)
    assert (status.done, status.now) == (11, 1)


def test_a_url_of_this_machine_is_its_path(photos, make_job, monkeypatch):
    images = [{"id": 1, "file_name": "1.png"}]
    (photos / "list.json").write_text(json.dumps({"images": images}), encoding="utf-8")
    source = open_source(f"file://{photos}/list.json", images=f"file://{photos}")
    annotate(make_job(source))
    (photos / "1.png").write_bytes(png(77))
    assert annotate(make_job(source)).failed == 1


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_a_semantic_map_that_was_drawn_anew_is_told(suffix, tmp_path, make_job):
    def draw(split):
        labels = np.zeros((24, 48), dtype=np.uint8)
        labels[:, split:] = 1
        path = tmp_path / "maps" / f"0.{suffix}"
        path.parent.mkdir(exist_ok=True)
        np.save(path, labels) if suffix == "npy" else Image.fromarray(labels).save(path)
        os.utime(path, ns=(10**18, 10**18))
        return path

    path = draw(24)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes(png(1, width=48))
    task = PanopticTask(tmp_path / "maps", table_of_numbers([1], [0]))
    job = make_job(open_source(str(tmp_path / "in")), task=task)
    assert annotate(job).done == 1
    draw(24)  # again
    assert (annotate(job).done, annotate(job).failed) == (1, 0)
    draw(30)
    for _ in range(2):  # it stays said
        assert annotate(job).failed == 1
    assert failures(tmp_path / "out")["0"].startswith("0.png: its semantic map has changed since")
    status = annotate(replace(job, retry=True))
    assert (status.done, status.now) == (1, 1)
    path.unlink()
    assert annotate(job).failed == 1
