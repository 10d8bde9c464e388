"""Several copies of the model: the same results, and a death is survived."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trace_edges.jobs import annotate, open_source
from trace_edges.jobs.copies import Processes
from trace_edges.jobs.workers import Workers

from .conftest import FakeModel, FakeSource, FakeTooLargeModel, png

DEADLY = 250  # of the blue of the image that kills


@pytest.fixture(autouse=True)
def _fakes_can_be_imported(monkeypatch):
    """In the processes of the engine as well."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@dataclass
class DeadlyModel(FakeModel):
    """Loads a fake source that kills its process over one image."""

    def load(self):
        return DeadlySource([])


class DeadlySource(FakeSource):
    def read(self, batch, settings, **options):
        if any(np.median(one.image[..., 2]) == DEADLY for one in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(batch, settings, **options)


def test_two_copies_of_a_fake_model_give_the_bytes_of_one(photos, make_job, results):
    source = open_source(str(photos))
    annotate(make_job(source, "one", batch_size=2, to="tar", part=4))
    status = annotate(make_job(source, "two", batch_size=2, to="tar", part=4), copies=Processes(2))
    assert (status.open, status.done, status.failed) == (0, 10, 2)
    assert results(photos.parent / "two") == results(photos.parent / "one")


@pytest.mark.long
def test_the_picture_that_kills_its_process_is_found(photos, make_job):
    pixels = np.full((24, 32, 3), DEADLY, dtype=np.uint8)
    Image.fromarray(pixels).save(photos / "deadly.png")
    (photos / "fine.png").write_bytes(png(11))
    job = make_job(open_source(str(photos)), model=DeadlyModel())
    status = annotate(job, copies=Processes(2))
    assert (status.open, status.done, status.failed) == (0, 11, 3)
    report = (photos.parent / "out" / "report.csv").read_text(encoding="utf-8")
    assert "deadly.png: its worker process was killed twice" in report
    assert (photos.parent / "out" / "fine.json").exists()


@pytest.mark.long
def test_a_model_that_no_process_can_hold_stops_the_job(photos, make_job):
    job = make_job(open_source(str(photos)), model=FakeTooLargeModel())
    with pytest.raises(OSError, match=r"no copy of the model can be loaded .*fewer --actors"):
        annotate(job, copies=Processes(1))


def threads():
    return torch.get_num_threads()


def test_a_worker_has_one_thread_though_its_parent_has_more():
    torch.set_num_threads(2)
    try:
        with Workers(1) as workers:
            assert workers.result(workers.start(threads)) == 1
    finally:
        torch.set_num_threads(1)
