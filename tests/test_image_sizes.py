"""Large pictures, the size that a model sees, and its tensors."""

import io
import math
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trace_edges.images import load_image, model_size, resize_image, to_tensor

from .known_pictures import HEIGHT, RGB, WIDTH, close, encode, repeated


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_pillows_limit_neither_warns_nor_refuses_nor_changes(kind, monkeypatch):
    large = Image.new("L", (2000, 1200), 128)
    content = encode(large, kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_100_000)  # Pillow refuses twice that
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(content))
    if kind == "WEBP":  # whose reader has a check of its own, at twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_300_000)
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert close(load_image(content), np.full((1200, 2000, 3), 128), 0)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_108_megapixels_load_without_a_warning():
    content = encode(Image.new("1", (12_000, 9_000), 1), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_image(content)
    assert loaded.shape == (9_000, 12_000, 3)
    assert loaded[-1, -1].tolist() == [255, 255, 255]


def test_no_wide_copy_has_the_size_of_the_image():
    array = np.full((4000, 3000), 4000, np.uint16)
    tracemalloc.start()
    load_image(array)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.size * (3 + 2)  # the result's 3 bytes; a float32 copy alone would take 4


SIDE = st.integers(16, 12_000)


@given(SIDE, SIDE, st.integers(64, 2048), st.sampled_from([8, 14, 16, 32]))
def test_model_size_keeps_area_and_aspect_within_the_rounding(height, width, resolution, multiple):
    sides = model_size(height, width, resolution, multiple)
    assert sides == model_size(width, height, resolution, multiple)[::-1]
    assert all(side % multiple == 0 and side >= 2 * multiple for side in sides)
    scale = resolution / math.sqrt(height * width)
    exact = height * scale, width * scale
    for side, wanted in zip(sides, exact, strict=True):
        assert abs(side - wanted) <= multiple / 2 + 1e-6 or wanted < side == 2 * multiple
    if min(exact) >= 2 * multiple:
        slack = [multiple / (2 * wanted - multiple) for wanted in exact]
        bound = (1 + slack[0]) * (1 + slack[1]) + 1e-9
        assert 1 / bound <= sides[0] * sides[1] / resolution**2 <= bound
        assert 1 / bound <= (sides[0] / sides[1]) / (height / width) <= bound


def test_model_size_has_its_known_answers():
    assert model_size(480, 640, 512, 16) == (448, 592)  # 443.4, 591.2
    assert model_size(300, 300, 512, 8) == (512, 512)
    assert model_size(9, 10_000, 64, 16) == (32, 2128)  # 1.9, 2133
    for wrong in ((480, 640, 31, 16), (0, 640, 512, 16), (480, 640, 512, 0)):
        with pytest.raises(ValueError, match=r"give at least|may be below 1"):
            model_size(*wrong)


def test_resize_keeps_flat_places_and_smooths_stripes():
    half, twice = resize_image(RGB, (16, 24)), resize_image(RGB, (64, 96))
    for resized in (half, twice):
        corners = resized[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert np.array_equal(corners, RGB[[0, 0, -1, -1], [0, -1, 0, -1]])
    assert (half.shape, twice.shape) == ((16, 24, 3), (64, 96, 3))
    stripes = repeated(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    inside = resize_image(stripes, (16, 16))[:, 2:-2].astype(float)
    assert np.abs(inside - 127.5).max() <= 10  # grey, neither aliased nor one of the two
    assert np.array_equal(resize_image(RGB, (HEIGHT, WIDTH)), RGB)


def test_to_tensor_maps_to_minus_one_and_one():
    tensor = to_tensor(np.broadcast_to(np.array([0, 51, 255], np.uint8), (4, 5, 3)))
    assert tensor.shape == (3, 4, 5)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    torch.testing.assert_close(tensor[:, 1, 1], torch.tensor([-1.0, -0.6, 1.0]))
    assert torch.equal(to_tensor(RGB), to_tensor(RGB[::-1]).flip(1))
