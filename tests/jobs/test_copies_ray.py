"""The job on a local Ray cluster of several processes, with the embedded model."""

import os
import signal
import threading
import time

import psutil
import pytest
from PIL import Image

from trace_edges.edge_model import EdgeModel, Loading
from trace_edges.jobs import (
    EdgesTask,
    Job,
    annotate,
    copies,
    make_sink,
    open_source,
)
from trace_edges.training_free.settings import TraceSettings

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
    (folder / "broken.png").write_text("none")
    return folder


@pytest.fixture
def cluster():
    ray = pytest.importorskip("ray", reason='pip install "trace-edges[ray]"')
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
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
            if title.startswith("ray::") and "Map" in title:
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
