import numpy as np
import pytest
from scipy.linalg import eigh

from trace_edges.instances.grids import feature_affinity
from trace_edges.instances.maskcut import maskcut, salient_half, second_eigenvector

GRID = (12, 16)


def squares(*corners, side=4):
    """Cells 0 on the ground, 1, 2, ... in squares with these (top, left) corners."""
    cells = np.zeros(GRID, dtype=int)
    for number, (top, left) in enumerate(corners, 1):
        cells[top : top + side, left : left + side] = number
    return cells


def features(cells):
    """A direction of its own for each number."""
    return np.eye(8, dtype=np.float32)[cells]


def test_the_object_is_cut_from_the_ground():
    cells = squares((3, 5))
    found = maskcut(feature_affinity(features(cells)), GRID, masks=1)
    np.testing.assert_array_equal(found, [cells == 1])


def test_objects_are_found_one_after_the_other_and_no_more_than_there_are():
    cells = squares((1, 1), (6, 9))
    found = maskcut(feature_affinity(features(cells)), GRID, masks=2)
    assert {mask.tobytes() for mask in found} == {(cells == n).tobytes() for n in (1, 2)}


def test_twins_that_do_not_touch_are_one_cut_but_one_mask():
    """One kind of feature, two places: the mask is the part with the strongest cell."""
    cells = squares((1, 1), (6, 9))
    (mask,) = maskcut(feature_affinity(features(np.minimum(cells, 1))), GRID, masks=1)
    assert mask.tobytes() in {(cells == n).tobytes() for n in (1, 2)}


def test_masks_do_not_overlap():
    rng = np.random.default_rng(0)
    affinity = feature_affinity(rng.standard_normal((*GRID, 4)))
    found = maskcut(affinity, GRID, masks=6, min_area=0.0, max_iou=1.0)
    assert len(found) > 1
    assert found.sum(axis=0).max() == 1


def test_a_second_mask_that_is_too_small_ends_the_search():
    cells = squares((1, 1))
    cells[8, 12] = 2  # one cell of 192
    affinity = feature_affinity(features(cells))
    assert len(maskcut(affinity, GRID, masks=2, min_area=0.01)) == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_the_side_that_fills_the_corners_is_the_ground(sign):
    cells = squares((3, 5))
    vector = np.where(cells == 1, 0.9, -0.1).ravel() * sign
    np.testing.assert_array_equal(salient_half(vector, GRID), cells == 1)


def test_the_side_without_the_strongest_cell_is_the_ground():
    vector = np.full(GRID, 0.1)
    vector[:, 8:] = -0.1
    vector[5, 12] = -0.9  # two corners on each side: they do not decide
    np.testing.assert_array_equal(salient_half(vector.ravel(), GRID), vector < 0)


def test_an_affinity_of_another_grid_is_refused():
    with pytest.raises(ValueError, match=r"3 x 4 cells needs an affinity of \(12, 12\)"):
        maskcut(np.ones((10, 10)), (3, 4))


def graph(n, seed=0, dtype=np.float64):
    """Random weights between n points, falling with their distance."""
    at = np.random.default_rng(seed).random((n, 2))
    return np.exp(-10 * ((at[:, None] - at) ** 2).sum(-1)).astype(dtype)


@pytest.mark.parametrize("n", [3, 10, 60])
def test_it_is_the_second_vector_of_the_dense_problem(n):
    weights = graph(n)
    degrees = np.diag(weights.sum(axis=1))
    _, vectors = eigh(degrees - weights, degrees)
    expected = vectors[:, 1] / np.linalg.norm(vectors[:, 1])
    expected *= np.sign(expected[np.abs(expected).argmax()])
    np.testing.assert_allclose(second_eigenvector(weights), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_groups_are_cut_apart(dtype):
    """Two groups of weight 1 inside and 1e-5 between: one sign each, and constant in each."""
    group = np.arange(50) < 20
    weights = np.where(group[:, None] == group, 1, 1e-5).astype(dtype)
    vector = second_eigenvector(weights)
    assert set(np.sign(vector[group])) == {1.0}  # the smaller group has the larger entries
    assert set(np.sign(vector[~group])) == {-1.0}
    assert np.ptp(vector[group]) < 1e-4
    assert np.ptp(vector[~group]) < 1e-4


def test_two_nodes_are_cut_apart():
    vector = second_eigenvector(np.array([[1.0, 0.5], [0.5, 1.0]]))
    np.testing.assert_allclose(np.abs(vector), np.sqrt(0.5))
    assert vector[0] == pytest.approx(-vector[1])


def test_the_same_graph_gives_the_same_vector():
    weights = graph(80, seed=1)
    np.testing.assert_array_equal(second_eigenvector(weights), second_eigenvector(weights))


@pytest.mark.parametrize("weights", [np.ones((1, 1)), np.diag([1.0, 1.0, 0.0])])
def test_what_cannot_be_cut_is_refused(weights):
    with pytest.raises(ValueError, match="two nodes or more, each with some weight"):
        second_eigenvector(weights)
