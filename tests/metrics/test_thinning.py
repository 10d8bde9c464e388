import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import thin as thin_skimage

from trace_edges.metrics.thinning import thin, thin_numba


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95), st.integers(1, 40), st.integers(1, 40))
def test_random_maps_keep_the_pixels_that_scikit_image_keeps(seed, density, height, width):
    edges = np.random.default_rng(seed).random((height, width)) < density
    assert np.array_equal(thin_numba(edges), thin_skimage(edges))


def test_blobs_that_take_many_passes():
    y, x = np.mgrid[:120, :160]
    edges = np.hypot(y - 60, x - 60) < 50
    edges |= (np.abs(y - 2 * x / 3) < 9) | (x > 130)
    assert np.array_equal(thin_numba(edges), thin_skimage(edges))


@pytest.mark.parametrize("value", [False, True])
def test_uniform_maps(value):
    edges = np.full((9, 12), value)
    assert np.array_equal(thin(edges), thin_skimage(edges))


def test_the_map_itself_is_left_alone():
    edges = np.ones((8, 8), dtype=bool)
    thin(edges)
    assert edges.all()


def test_without_numba_scikit_image_does_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    edges = np.random.default_rng(0).random((20, 20)) < 0.6
    assert np.array_equal(thin(edges), thin_skimage(edges))
