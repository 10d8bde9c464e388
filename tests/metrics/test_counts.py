"""clDice against values worked out by hand."""

import numpy as np
import pytest

from trace_edges.metrics.counts import cldice


def line(row, columns=slice(None), shape=(20, 40)):
    mask = np.zeros(shape, dtype=bool)
    mask[row, columns] = True
    return mask


def test_a_perfect_prediction_and_a_disjoint_one():
    assert cldice(line(5), line(5)) == 1
    assert cldice(line(5), line(15)) == 0


def test_half_of_a_line():
    """All of the prediction is right (1), half of the truth is found (1/2): 2/3."""
    assert cldice(line(5, slice(0, 20)), line(5)) == pytest.approx(2 / 3)


def test_a_line_and_a_spurious_one():
    """Half of the prediction is right, all of the truth is found: 2/3."""
    assert cldice(line(5) | line(15), line(5)) == pytest.approx(2 / 3)


def test_a_shift_by_two_pixels_needs_dilation():
    """Lines of 3 rows each, two rows apart: the middle of one is the outside of the other."""
    assert cldice(line(5), line(7)) == 0
    assert cldice(line(5), line(7), dilation=1) < 0.1
    assert cldice(line(5), line(7), dilation=2) > 0.9


def test_empty_maps():
    empty = np.zeros((20, 40), dtype=bool)
    assert cldice(empty, empty) == 1
    assert cldice(line(5), empty) == cldice(empty, line(5)) == 0
