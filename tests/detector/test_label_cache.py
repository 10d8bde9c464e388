"""The cache: one file for one photograph and way of looking, whole or not there."""

import numpy as np
import pytest
from PIL import Image

from trace_edges.detector.label_cache import Averaging, LabelCache
from trace_edges.settings import TraceSettings


class FakeBackbone:
    def fingerprint(self):
        return "fake"


class FakeTeacher:
    """Counts how often it is asked, and answers with the picture's first channel."""

    backbone = FakeBackbone()

    def __init__(self):
        self.asked = 0

    def describe(self, settings):
        return {"resolution": settings.resolution, "timestep": settings.timestep}

    def read(self, pictures, settings):
        self.asked += 1
        return [(pictures[0][..., 0].astype(np.float32), None)]


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(path)
    return path


@pytest.fixture
def cache(tmp_path):
    return LabelCache(tmp_path / "labels", FakeTeacher(), TraceSettings(resolution=64))


def test_the_teacher_is_asked_once(cache, photograph):
    first, second = cache.divergence(photograph), cache.divergence(photograph)
    assert cache.teacher.asked == 1
    assert np.array_equal(first, second)
    assert first.shape == (16, 16)


def test_the_place_follows_from_the_bytes_and_the_settings(cache, photograph, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(photograph.read_bytes())
    assert cache.path(copy) == cache.path(photograph)
    other = LabelCache(cache.folder, cache.teacher, TraceSettings(resolution=128))
    assert other.path(photograph) != cache.path(photograph)
    copy.write_bytes(photograph.read_bytes() + b" ")
    assert cache.path(copy) != cache.path(photograph)


def test_a_write_that_fails_leaves_nothing(cache, photograph, monkeypatch):
    def full(file, array):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        cache.divergence(photograph)
    assert not [path for path in cache.folder.rglob("*") if path.is_file()]


def test_a_broken_photograph_is_reported_and_the_others_are_done(cache, photograph, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    (first, why), (second, fine) = cache.fill([broken, photograph])
    assert (first, second) == (broken, photograph)
    assert "broken.png" in why
    assert fine == ""
    assert cache.path(photograph).exists()


def test_looks_are_averaged_and_each_is_kept(cache, photograph, tmp_path):
    # The fake sees the same in both steps, and in the mirror what it sees without, turned.
    looks = Averaging(timesteps=(99, 199), mirror=True)
    several = LabelCache(tmp_path / "labels", FakeTeacher(), TraceSettings(resolution=64), looks)
    assert len(several.looks) == 4
    assert np.allclose(several.divergence(photograph), cache.divergence(photograph))
    assert several.teacher.asked == 4
    assert len({several.path(photograph, look) for look in several.looks}) == 4


def test_an_average_is_the_mean_of_its_looks(tmp_path, photograph):
    class SeesTheStep(FakeTeacher):
        def read(self, pictures, settings):
            return [(np.full((2, 2), settings.timestep, dtype=np.float32), None)]

    looks = Averaging(timesteps=(100, 200))
    cache = LabelCache(tmp_path, SeesTheStep(), TraceSettings(resolution=64), looks)
    assert (cache.divergence(photograph) == 150).all()
