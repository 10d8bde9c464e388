"""Non-maximum suppression on surfaces whose ridges are known."""

import numpy as np
import pytest

from trace_edges.metrics.nms import suppress_non_maxima


@pytest.mark.parametrize("angle", np.deg2rad([0, 20, 45, 70, 90, 135]))
def test_a_straight_ridge_becomes_its_ridge(angle):
    """What is left lies within a pixel of the line, and the line has no gap of two pixels."""
    rows, columns = np.mgrid[:60, :60] - 30.0
    distance = rows * np.cos(angle) + columns * np.sin(angle)
    along = columns * np.cos(angle) - rows * np.sin(angle)
    kept = suppress_non_maxima(np.exp(-((distance / 4) ** 2))) > 0.2
    inside = np.hypot(rows, columns) < 24
    assert np.abs(distance[kept & inside]).max() <= 1
    positions = np.sort(along[kept & inside])
    assert positions[0] < -22
    assert positions[-1] > 22
    assert np.diff(positions).max() < 2


def test_values_on_the_crest_stay_what_they_were():
    strength = np.zeros((20, 20), dtype=np.float32)
    strength[10] = np.linspace(0.1, 0.9, 20)
    out = suppress_non_maxima(strength)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, strength)


def test_nothing_comes_from_nothing():
    assert not suppress_non_maxima(np.zeros((9, 9))).any()
