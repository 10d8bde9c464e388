import numpy as np
import pytest

from trace_edges.instances.grids import feature_affinity
from trace_edges.instances.promerge import promerge

GRID = (24, 32)


def affinity(cells):
    """1 between cells of one number, 0 between others."""
    return feature_affinity(np.eye(8, dtype=np.float32)[cells])


def scene(*boxes):
    """Cells 0 on the ground, 1, 2, ... in boxes (top, left, height, width)."""
    cells = np.zeros(GRID, dtype=int)
    for number, (top, left, height, width) in enumerate(boxes, 1):
        cells[top : top + height, left : left + width] = number
    return cells


def as_set(masks):
    return {mask.tobytes() for mask in masks}


def test_two_objects_on_one_ground():
    cells = scene((4, 4, 8, 8), (12, 20, 8, 8))
    found = promerge(affinity(cells), GRID)
    assert found.shape == (2, *GRID)
    assert as_set(found) == as_set([cells == 1, cells == 2])


def test_twins_apart_are_two_objects():
    cells = scene((4, 4, 8, 8), (12, 20, 8, 8))
    found = promerge(affinity(np.minimum(cells, 1)), GRID)
    assert as_set(found) == as_set([cells == 1, cells == 2])


def test_a_part_much_smaller_than_the_one_with_the_seed_is_none():
    cells = scene((4, 4, 8, 8), (12, 20, 2, 2))  # between the seeds, which are 4 apart
    cells[12:14, 20:22], cells[15:17, 23:25] = 0, 1
    found = promerge(affinity(cells), GRID)
    whole = np.zeros(GRID, dtype=bool)
    whole[4:12, 4:12] = True
    assert as_set(found) == as_set([whole])


def test_masks_that_share_enough_are_one_object():
    """Left and right halves alike to a common middle, not to each other."""
    cells = scene((6, 4, 12, 8), (6, 12, 12, 8), (6, 20, 12, 8))
    kinds = np.eye(5, dtype=np.float32)
    directions = np.stack([kinds[0], kinds[1], kinds[1] + kinds[2], kinds[2]])
    found = promerge(feature_affinity(directions[cells]), GRID)
    assert as_set(found) == as_set([cells > 0])


def test_a_mask_like_the_background_is_dropped():
    directions = np.array([[1, 0, 0], [0.15, 0, 1], [0, 1, 0]], dtype=np.float32)
    cells = scene((4, 4, 8, 8), (12, 20, 8, 8))
    alike = feature_affinity(directions[cells])  # cosine of box 1 to the ground: 0.148
    assert as_set(promerge(alike, GRID)) == as_set([cells == 2])
    both = promerge(alike, GRID, max_background_likeness=0.2)
    assert as_set(both) == as_set([cells == 1, cells == 2])


def test_without_background_there_is_no_object():
    cells = scene()
    cells[:, :16] = 1
    cells[:12] += 2  # four quarters: each covers half of two sides, which is not most of them
    assert promerge(affinity(cells), GRID).shape == (0, *GRID)


def test_a_background_too_small_is_none():
    frame = np.ones(GRID, dtype=int)
    frame[2:-2, 2:-2] = 0
    frame[2:-2, 2:-2][6:14, 8:16] = 2
    share = (frame == 1).mean()
    assert len(promerge(affinity(frame), GRID, min_background=share - 0.01, stride=2)) > 0
    assert len(promerge(affinity(frame), GRID, min_background=share + 0.01, stride=2)) == 0


def test_an_affinity_of_another_grid_is_refused():
    with pytest.raises(ValueError, match=r"3 x 4 cells needs an affinity of \(12, 12\)"):
        promerge(np.ones((10, 10)), (3, 4))
