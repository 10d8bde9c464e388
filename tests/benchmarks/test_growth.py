"""The cells whose handling is timed, and the exponent."""

import numpy as np
import pytest

from benchmarks.masks.growth import cells, slope


@pytest.mark.parametrize(("size", "count"), [((64, 64), 16), ((90, 160), 144)])
def test_there_are_as_many_cells_as_asked_for(size, count):
    labels = cells(size, count)
    numbers, areas = np.unique(labels, return_counts=True)
    assert labels.shape == size
    assert numbers.tolist() == list(range(1, count + 1))
    assert areas.max() < 3 * areas.min()


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_the_exponent_of_a_power_is_found(exponent):
    sizes = np.array([10.0, 100, 1000, 10_000])
    assert slope(np.log(sizes), (0.01 * sizes**exponent).tolist()) == pytest.approx(exponent)
