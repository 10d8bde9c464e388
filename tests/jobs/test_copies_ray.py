"""The job on a local Ray cluster of several processes, with the embedded model."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from PIL import Image

from trace_edges.edge_model import EdgeModel
from trace_edges.jobs import EdgesTask, Job, annotate, copies, make_sink, open_source
from trace_edges.loading import Loading
from trace_edges.training_free.settings import TraceSettings

from .conftest import FakeModel, FakeSource, FakeTooLargeModel, png

ROOT = str(Path(__file__).parents[2])
IMAGES = 48
MODEL = EdgeModel(
    method="training-free",
    settings=TraceSettings(resolution=96, subcell=1, timestep=99),
    loading=Loading(device="cpu"),
)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        size = (60, 48) if number % 2 else (48, 60)
        Image.effect_noise(size, 60 + number).convert("RGB").save(folder / f"{number:02d}.png")
    (folder / "broken.png").write_text("none", encoding="utf-8")
    return folder


@pytest.fixture
def cluster():
    ray = pytest.importorskip("ray", reason='pip install "trace-edges[ray]"')
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={
            "env_vars": {"PYTHONPATH": os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])}
        },
    )  # fmt: skip  the fakes can be imported there as well
    yield ray
    ray.shutdown()


def job(photos, name):
    task, dest = EdgesTask(), str(photos.parent / name)
    return Job(open_source(str(photos)), task, make_sink(dest, "folder", task), MODEL, dest)


def actors():
    """The processes of the cluster that hold a model, by their title."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            title = " ".join(process.cmdline())
            if title.startswith("ray::") and "_Actor" in title:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_killed_worker_loses_nothing_and_the_bytes_are_those_of_one_process(
    photos, cluster, results, monkeypatch
):
    monkeypatch.setattr(copies, "IMAGES", 8)  # handed out at once: several turns each
    alone = annotate(job(photos, "alone"))
    killed = []

    def kill_one():
        while not killed:
            written = list((photos.parent / "out").glob("*.json"))
            if len(written) >= IMAGES // 4 and (found := actors()):
                killed.append(found[0].pid)
                os.kill(found[0].pid, signal.SIGKILL)
            time.sleep(0.05)

    watcher = threading.Thread(target=kill_one, daemon=True)
    watcher.start()
    status = annotate(job(photos, "out"), copies=copies.RayCluster(actors=2))
    watcher.join(timeout=1)
    assert killed, "no worker was killed"
    assert (status.open, status.done, status.failed) == (0, IMAGES, 1)
    assert (alone.done, alone.failed) == (status.done, status.failed)
    assert results(photos.parent / "out") == results(photos.parent / "alone")
    assert annotate(job(photos, "out"), copies=copies.RayCluster(actors=2)).now == 0


@dataclass
class FakeDeadlyModel(FakeModel):
    """Loads a fake source that kills its process over every image called deadly."""

    def load(self):
        return FakeDeadlySource([])


class FakeDeadlySource(FakeSource):
    def read(self, batch, settings, **options):
        if any(one.name.startswith("deadly") for one in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(batch, settings, **options)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_the_image_that_kills_its_actor_is_found_and_the_rest_is_done(tmp_path, cluster, make_job):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(8):
        name = "deadly" if number == 3 else f"{number}"
        (folder / f"{name}.png").write_bytes(png(number))
    source = open_source(str(folder))
    job = make_job(source, model=FakeDeadlyModel())
    status = annotate(job, copies=copies.RayCluster(actors=2))
    assert (status.open, status.done, status.failed) == (0, 7, 1)
    assert "deadly.png: its actor died twice" in (tmp_path / "out" / "report.csv").read_text(
        encoding="utf-8"
    )
    too_large = make_job(source, "none", model=FakeTooLargeModel())
    with pytest.raises(OSError, match=r"no copy of the model can be loaded .*fewer --actors"):
        annotate(too_large, copies=copies.RayCluster(actors=1))
