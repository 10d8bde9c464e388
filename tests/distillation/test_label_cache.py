"""The cache: one file for one photograph and view, whole or not there."""

import json
from hashlib import blake2b

import numpy as np
import pytest
from PIL import Image

from trace_edges.distillation import CONFIGS
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.labels import LabelSettings
from trace_edges.distillation.teachers import TrainingFreeTeacher, View
from trace_edges.training_free.pipeline import TraceEdgePipeline

# A view of trace-mini as it was described when `subcell` was called refine and there was no method.
FIRST_DESCRIPTION = {
    "resolution": 512, "refine": 1, "trajectory": "noise", "timestep": 99, "stride": 100, "seed": 0,
    "emergence_resolution": 512, "criterion": "kl", "ignore_first": 0, "neighbours": 4,
    "symmetric": False, "border": "scale", "layers": None, "shift": None,
    "backbone": "da84f0fd705a33227eccdb3880710383", "dtype": "float32", "half_edge": 1.0,
    "null": None, "revision": None, "quantize": None, "vae_tiling": None,
}  # fmt: skip


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


def test_labels_that_were_cached_under_the_first_names_of_settings_are_found(
    trace_mini, photograph, tmp_path
):
    photograph.write_bytes(b"photograph")
    teacher = TrainingFreeTeacher(TraceEdgePipeline(trace_mini), CONFIGS["toy"].teacher)
    digest = blake2b(json.dumps(FIRST_DESCRIPTION, sort_keys=True).encode(), digest_size=16)
    digest.update(b"photograph")
    assert digest.hexdigest() == "359135e06636f61025f44f0e122e1755"
    assert LabelCache(tmp_path, teacher).path(photograph).stem == digest.hexdigest()


def test_the_method_has_no_part_in_a_digest_unless_it_is_another(photograph, tmp_path):
    def path(**method):
        teacher = FakeTeacher()
        teacher.views = [View({"resolution": 64, **method}, teacher.read)]
        return LabelCache(tmp_path, teacher).path(photograph)

    assert path(method="training-free") == path()
    assert path(method="encoder") != path()
