"""Lines that close no region lose strength; lines that do keep theirs."""

import numpy as np
import pytest

from trace_edges.instances import contours, weigh_lines
from trace_edges.results import EdgeMap, stack_edge_maps


def wall_and_spur():
    """A wall of 0.8 through the whole map, and a spur as strong that ends in the middle."""
    smooth = np.full((1, 41, 61), 0.02, dtype=np.float32)
    for rows, columns in ((np.s_[:], np.s_[20]), (np.s_[20], np.s_[40:50])):
        smooth[0, rows, columns] = 0.8
    return EdgeMap(smooth, smooth > 0.5)


def test_a_spur_is_weaker_than_a_wall():
    edges = wall_and_spur()
    found = weigh_lines(edges)
    assert found.dtype == np.float32
    assert not found[~edges.ridges[0]].any()
    wall, spur = found[:, 20], found[20, 40:50]
    np.testing.assert_allclose(wall, np.sqrt(0.8 * contours(edges).max()), rtol=1e-5)
    assert spur.max() < 0.5 * wall.min()


def test_edges_of_several_images_are_refused():
    with pytest.raises(ValueError, match=r"2 images .* one image at a time"):
        weigh_lines(stack_edge_maps([wall_and_spur()] * 2))
