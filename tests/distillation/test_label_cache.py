"""The cache: one file for one photograph and view, whole or not there."""

import numpy as np
import pytest
from PIL import Image

from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.labels import LabelSettings
from trace_edges.distillation.teachers import View
from trace_edges.errors import FileError


class FakeTeacher:
    """Counts how often it is asked; every view gives the image's first channel."""

    def __init__(self, *resolutions):
        self.asked = 0
        self.views = [View({"resolution": r}, self.read) for r in resolutions or (64,)]

    def read(self, image):
        self.asked += 1
        return image[..., 0].astype(np.float32)

    def labels(self, maps, image, settings):
        return len(maps), image.shape, settings


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(path)
    return path


@pytest.fixture
def cache(tmp_path):
    return LabelCache(tmp_path / "labels", FakeTeacher())


def test_the_teacher_is_asked_once(cache, photograph):
    (first,), (second,) = cache.maps(photograph), cache.maps(photograph)
    assert cache.teacher.asked == 1
    assert np.array_equal(first, second)
    assert first.shape == (16, 16)


def test_the_place_follows_from_the_bytes_and_the_view(cache, photograph, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(photograph.read_bytes())
    assert cache.path(copy) == cache.path(photograph)
    other = LabelCache(cache.folder, FakeTeacher(128))
    assert other.path(photograph) != cache.path(photograph)
    copy.write_bytes(photograph.read_bytes() + b" ")
    assert cache.path(copy) != cache.path(photograph)


def test_every_view_is_kept_and_the_teacher_makes_labels_of_all(photograph, tmp_path):
    cache = LabelCache(tmp_path / "labels", FakeTeacher(64, 128))
    image, settings = np.zeros((8, 8, 3), np.uint8), LabelSettings(snap=0)
    assert cache.labels(photograph, image, settings) == (2, (8, 8, 3), settings)
    assert len(list(cache.folder.rglob("*.npy"))) == 2


def test_a_write_that_fails_leaves_nothing(cache, photograph, monkeypatch):
    def full(file, array):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        cache.maps(photograph)
    assert not [path for path in cache.folder.rglob("*") if path.is_file()]


def test_a_broken_photograph_is_reported_and_the_others_are_done(cache, photograph, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    (first, why), (second, fine) = cache.fill([broken, photograph])
    assert (first, second) == (broken, photograph)
    assert "broken.png" in why
    assert fine == ""
    assert cache.path(photograph).exists()


@pytest.mark.parametrize("left", [0, 50])
def test_a_map_that_was_cut_is_named_with_the_mend(cache, photograph, left):
    cache.maps(photograph)
    path = cache.path(photograph)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(FileError, match=rf"{path.name} cannot be loaded .*: remove it, so that"):
        cache.maps(photograph)
