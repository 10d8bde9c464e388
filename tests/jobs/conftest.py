"""Data sets of a few small pictures, and a model that is none."""

import csv
import os
import signal
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from trace_edges.jobs import EdgesTask, Job, Shard, make_sink
from trace_edges.sources import EdgeSource, Preparation, Reading
from trace_edges.training_free.ridges import DivergenceDrawing

from .pair import SIZE
from .pictures import png
from .stumbling import store  # noqa: F401


class FakeSource(EdgeSource):
    """Instead of a model: the red of the image, on a grid of 8 x 8 cells."""

    default = None

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes

    def preparation(self, settings):
        return Preparation(resolution=64, multiple=8, shrink=True)

    def drawing(self, settings):
        return DivergenceDrawing(subcell=1, half_edge=1.0)

    def describe(self, settings=None):
        return {"model": "fake"}

    def read(self, batch, settings, *, attention=False):
        assert len({one.size for one in batch}) == 1
        self.sizes.append(len(batch))
        return [Reading(_grid(one.image), 7) for one in batch]


def _grid(image):
    height, width, _ = image.shape
    red = image[..., 0].reshape(height // 8, 8, width // 8, 8)
    return red.mean(axis=(1, 3), dtype=np.float32) / 255


@dataclass
class FakeModel:
    """Loads the fake source, and notes how many images it was shown at once."""

    sizes: list[int] = field(default_factory=list)

    def load(self):
        return FakeSource(self.sizes)

    def source_settings(self):
        return None


@dataclass
class FakeTooLargeModel(FakeModel):
    """Loads in the process that made it, and kills every other one."""

    home: int = field(default_factory=os.getpid)

    def load(self):
        if os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return FakeSource([])


@pytest.fixture
def photos(tmp_path):
    """Ten good pictures of two sizes in two folders, and two that are broken."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for number in range(10):
        place = folder / "below" if number % 3 == 0 else folder
        (place / f"{number}.png").write_bytes(png(number, width=32 + 16 * (number % 2)))
    (folder / "broken.jpg").write_text("no picture", encoding="utf-8")
    (folder / "cut.png").write_bytes(png(3)[:60])
    return folder


@pytest.fixture
def make_job(tmp_path):
    """A function that makes a job with the fake model, in this process."""

    def make(source, name="out", *, task=None, to="folder", part=1000, **changes):
        dest, task = str(tmp_path / name), task or EdgesTask()
        shard = changes.get("shard", Shard())
        sink = make_sink(dest, to, task, part=part, shard=shard)
        options = {"model": FakeModel(), "workers": 0, **changes}
        return Job(source, task, sink, dest=dest, **options)

    return make


@pytest.fixture
def results():
    """A function that gives the visible files of a folder, by name."""

    def read(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and ".annotate" not in str(path.relative_to(folder))
        }

    return read


@pytest.fixture
def edges(tmp_path):
    """Edges of a, b and 7, as `detect` writes them: 8 bits."""
    folder = tmp_path / "edges"
    folder.mkdir()
    line = np.zeros(SIZE, dtype=np.uint8)
    line[:, 14] = 255
    for name in ("a", "b", "000000000007"):
        Image.fromarray(line).save(folder / f"{name}.edges.png")
    Image.fromarray(line).save(folder / "a.overlay.png")
    return folder


def failures(folder, name="report.csv"):
    with (folder / name).open() as file:
        return {row["key"]: row["reason"] for row in csv.DictReader(file)}
