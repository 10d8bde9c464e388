"""What every source shares, tried on a faked one: sizes, batches, calls, and records."""

from dataclasses import dataclass

import numpy as np
import pytest

from trace_edges.sources import EdgeSource, Preparation, Reading


@dataclass(frozen=True)
class FakeSettings:
    resolution: int = 64


@dataclass(frozen=True)
class FakeDrawing:
    def __call__(self, values, size):
        edges = np.full(size, values[0, 0], dtype=np.float32)
        return edges, edges > 0.5


class FakeSource(EdgeSource[FakeSettings]):
    """Edges as strong as the first pixel's red; notes which images share a pass."""

    default = FakeSettings()

    def __init__(self):
        self.batches = []

    def preparation(self, settings):
        return Preparation(settings.resolution, 8, shrink=True)

    def drawing(self, settings):
        return FakeDrawing()

    def describe(self, settings=None):
        return {"resolution": (settings or self.default).resolution}

    def read(self, batch, settings, *, attention=False):
        self.batches.append([one.name for one in batch])
        return [Reading(one.image[:1, :1, 0].astype(np.float32) / 255, 3) for one in batch]


def image(red, shape=(20, 30)):
    return np.full((*shape, 3), red, dtype=np.uint8)


def test_one_image_is_read_at_the_models_size_and_drawn_at_its_own():
    source = FakeSource()
    prepared = source.prepare(image(51))
    assert prepared.image.shape[:2] == prepared.size == (56, 80)  # sqrt(H * W) is about 64
    assert prepared.shape == (20, 30)
    out = source(image(51))
    np.testing.assert_allclose(out.edges, np.full((1, 20, 30), 0.2), atol=1e-6)
    assert (out.raw, out.emergence) == (None, None)  # it measures none and seeks no step
    assert out.settings == {"resolution": 64, "model_size": [56, 80]}


def test_a_list_is_one_pass_and_one_map():
    source = FakeSource()
    out = source([image(0), image(255)], resolution=32)
    assert out.edges[:, 0, 0].tolist() == [0, 1]
    assert out.ridges[:, 0, 0].tolist() == [False, True]
    assert out.settings["model_size"] == [24, 40]
    assert [len(batch) for batch in source.batches] == [2]


def test_a_long_list_is_read_in_batches_and_is_still_one_map():
    source = FakeSource()
    reds = [0, 51, 102, 153, 204, 255]
    out = source([image(red) for red in reds])
    np.testing.assert_allclose(out.edges[:, 0, 0], np.array(reds) / 255, atol=1e-6)
    assert [len(batch) for batch in source.batches] == [4, 2]
    source.batches.clear()
    source(np.stack([image(red) for red in reds]), batch_size=5)
    assert [len(batch) for batch in source.batches] == [5, 1]
    for call in (source, lambda images, **options: list(source.each(images, **options))):
        with pytest.raises(ValueError, match="batch_size must be 1 or more, not -1"):
            call([image(0)], batch_size=-1)


def test_images_of_several_sizes_are_iterated_over():
    source = FakeSource()
    images = [image(0), image(255, (30, 20)), image(255, (30, 20)), image(0, (30, 20))]
    with pytest.raises(ValueError, match=r"2 sizes.*each"):
        source(images)
    found = list(source.each(images, batch_size=2))
    assert [one.edges.shape[1:] for one in found] == [(20, 30), (30, 20), (30, 20), (30, 20)]
    assert [len(batch) for batch in source.batches] == [1, 2, 1]


def test_a_file_gives_its_name(tmp_path):
    from PIL import Image

    path = tmp_path / "street.png"
    Image.fromarray(image(9)).save(path)
    source = FakeSource()
    source(path)
    list(source.each([str(path)]))
    assert source.batches == [["street"], ["street"]]


def test_a_setting_that_is_none_is_refused():
    with pytest.raises(TypeError, match="colour"):
        FakeSource()(image(1), colour=3)


def test_values_are_what_is_read_undrawn():
    assert FakeSource().values(image(255)).tolist() == [[1.0]]
