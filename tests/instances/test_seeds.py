import numpy as np
import pytest

from trace_edges.instances.regions import instances_from_edges
from trace_edges.instances.seeds import Seeds, inner_points, seeds_from_masks
from trace_edges.results import InstanceMasks


def masks_of(*masks):
    return InstanceMasks(np.stack(masks), np.ones(len(masks), dtype=np.float32))


def walled_squares():
    """Two squares of 9 px side by side, walls of 1 px around them and between: 11 x 21."""
    edges = np.zeros((11, 21), dtype=np.float32)
    edges[[0, -1]] = 1
    edges[:, [0, 10, 20]] = 1
    return edges


def disc(height, width, row, column, radius):
    rows, columns = np.mgrid[:height, :width]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def test_the_point_of_a_disc_is_its_centre():
    seeds = seeds_from_masks(masks_of(disc(40, 60, 18, 33, 9)))
    assert seeds.points.tolist() == [[[33, 18]]]
    assert seeds.boxes.tolist() == [[24, 9, 43, 28]]


def test_the_point_of_a_u_lies_in_it_where_its_centroid_does_not():
    """Arms of 3 px and a base of 5: the base is the deepest, 3 px from its outline."""
    mask = np.zeros((30, 25), dtype=bool)
    mask[2:28, 3:6] = mask[2:28, 19:22] = mask[23:28, 3:22] = True
    row, column = np.argwhere(mask).mean(axis=0).round().astype(int)
    assert not mask[row, column]
    (x, y), *_ = seeds_from_masks(masks_of(mask)).points[0]
    assert mask[y, x]
    assert y == 25


def test_of_equally_deep_pixels_the_middle_one():
    mask = np.zeros((9, 31), dtype=bool)
    mask[2:7, 1:30] = True  # 5 x 29: its middle line, from column 3 to 27, is 3 px deep
    assert inner_points(mask, 1).tolist() == [[15, 4]]


def test_the_frame_is_outline():
    assert inner_points(np.ones((9, 9), dtype=bool), 1).tolist() == [[4, 4]]


def test_further_points_are_deep_and_apart():
    """A strip of 5 x 21: the pole in the middle, then the two ends of what is half as deep."""
    points = inner_points(np.ones((5, 21), dtype=bool), 3)
    assert points[0].tolist() == [10, 2]
    assert sorted(points[1:, 0].tolist()) == [1, 19]
    assert set(points[1:, 1].tolist()) <= {1, 3}


def test_a_region_of_one_pixel_repeats_it():
    mask = np.zeros((4, 5), dtype=bool)
    mask[2, 3] = True
    assert seeds_from_masks(masks_of(mask), points=3).points.tolist() == [[[3, 2]] * 3]


def test_two_squares_split_by_an_edge_are_two_seeds():
    """Both grow by their own walls; the one between goes to one of them."""
    seeds = seeds_from_masks(instances_from_edges(walled_squares(), 0.1))
    assert len(seeds) == 2
    assert seeds.regions.label_map.min() == 1  # nothing is left over
    (left, right) = sorted(seeds.boxes.tolist())
    assert left[:2] == [0, 0]
    assert left[3] == right[3] == 11
    assert left[2] == right[0]
    assert left[2] in (10, 11)
    assert right[2] == 21
    assert sorted(seeds.points[:, 0, 1].tolist()) == [5, 5]
    assert sorted(seeds.points[:, 0, 0].tolist()) == pytest.approx([5, 15], abs=1)


def test_regions_of_a_tree_are_seeds_too():
    masks = instances_from_edges(walled_squares(), 0.1)
    seeds = seeds_from_masks(masks)
    assert seeds.regions is masks
    assert sorted(seeds.points[:, 0, 0].tolist()) == pytest.approx([5, 15], abs=1)


def test_logits_are_letterboxed():
    """The left half of 40 x 80 px on 8 x 8 cells: 4 rows of content, 4 columns of them inside."""
    mask = np.zeros((40, 80), dtype=bool)
    mask[:, :40] = True
    expected = np.full((8, 8), -8.0)
    expected[:4, :4] = 8
    (drawn,) = seeds_from_masks(masks_of(mask)).logits(8, (4, 8))
    np.testing.assert_array_equal(drawn, expected)


def test_logits_fade_where_a_cell_is_partly_inside_and_may_be_larger_than_the_image():
    mask = np.zeros((4, 4), dtype=bool)
    mask[:, :3] = True
    seeds = seeds_from_masks(masks_of(mask, ~mask))
    np.testing.assert_array_equal(seeds.logits(2, (2, 2))[0], [[8, 0], [8, 0]])
    large = seeds.logits(8, (8, 8), slice(1, 2))
    np.testing.assert_array_equal(large, np.where(np.kron(~mask, np.ones((2, 2))), 8, -8)[None])


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="at least 1 point, not 0"):
        seeds_from_masks(masks_of(np.ones((8, 8), dtype=bool)), points=0)
    with pytest.raises(ValueError, match="1 regions need points"):
        Seeds(masks_of(np.ones((8, 8), dtype=bool)), np.zeros((2, 1, 2), dtype=np.int64))
