"""Lines that close no region lose strength; lines that do keep theirs."""

import numpy as np
import pytest

from trace_edges.instances.hierarchy import build_hierarchy, contours
from trace_edges.instances.lines import weigh_lines


def wall_and_spur():
    """A wall of 0.8 through the whole map, and a spur as strong that ends in the middle."""
    smooth = np.full((41, 61), 0.02, dtype=np.float32)
    thin = np.zeros_like(smooth)
    for rows, columns in ((np.s_[:], np.s_[20]), (np.s_[20], np.s_[40:50])):
        smooth[rows, columns] = thin[rows, columns] = 0.8
    return thin, smooth


def test_a_spur_is_weaker_than_a_wall():
    thin, smooth = wall_and_spur()
    found = weigh_lines(thin, smooth)
    assert ((found > 0) <= (thin > 0)).all()
    wall, spur = found[:, 20], found[20, 40:50]
    closed = contours(build_hierarchy(smooth)).max()
    np.testing.assert_allclose(wall, np.sqrt(0.8 * closed), rtol=1e-5)
    assert spur.max() < 0.5 * wall.min()


def test_maps_of_two_sizes_are_refused():
    thin, smooth = wall_and_spur()
    with pytest.raises(ValueError, match="must have one size"):
        weigh_lines(thin[:, :-1], smooth)
