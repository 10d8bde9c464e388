from itertools import pairwise

import numpy as np
import pytest
from skimage.segmentation import watershed

from trace_edges.instances import bgp
from trace_edges.instances.hierarchy import build_hierarchy, contours

# Three rooms side by side: a weak wall (0.2) at column 10, a strong one (0.8) at column 20.
#   columns 0 .. 9 | wall | 11 .. 19 | wall | 21 .. 30
ROOMS = np.zeros((12, 31), dtype=np.float32)
ROOMS[:, 10], ROOMS[:, 20] = 0.2, 0.8
TREE = build_hierarchy(ROOMS, area_power=0.0)


def noise(seed, shape=(40, 50)):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def partition(nodes):
    """Which leaves are together, whatever their numbers."""
    return nodes[:, None] == nodes


def test_the_weak_wall_falls_before_the_strong_one():
    tree = TREE
    assert tree.leaves == 3
    np.testing.assert_allclose(tree.births, [0, 0, 0, 0.2, 0.8], rtol=1e-6)
    np.testing.assert_allclose(tree.deaths[-2:], [0.8, 1], rtol=1e-6)
    left, middle, right = tree.labels[5, [3, 15, 27]]
    assert tree.parents[left] == tree.parents[middle] == 3
    assert tree.parents[right] == tree.parents[3] == tree.parents[4] == 4
    assert tree.areas[-1] == ROOMS.size


def test_contours_have_the_strength_at_which_their_sides_become_one():
    drawn = contours(TREE)
    np.testing.assert_allclose(np.unique(drawn), [0, 0.2, 0.8], rtol=1e-6)
    assert (np.count_nonzero(drawn == drawn.max(), axis=1) == 1).all()  # a line of one pixel
    assert np.abs(drawn[0].argmax() - 20) <= 1


def test_the_tree_rests_on_the_watershed_of_the_whole_image():
    for edges in (noise(0), noise(1) ** 4):
        found = build_hierarchy(edges).labels
        np.testing.assert_array_equal(found, watershed(edges) - 1)


def test_the_floors_of_basins_are_not_flooded(monkeypatch):
    """Every pixel that the flooding starts from takes 40 bytes of it, and a drawn map is nearly all
    floor: only the shores are handed over."""
    starts = []

    def counted(edges, markers, **options):
        starts.append(np.count_nonzero(markers))
        return watershed(edges, markers, **options)

    monkeypatch.setattr(bgp, "watershed", counted)
    edges = np.zeros((200, 300), dtype=np.float32)
    edges[100], edges[:, 150] = 0.5, 0.5
    assert build_hierarchy(edges).leaves == 4
    assert starts == [4 * (99 + 149)]  # of 4 basins of 100 x 150


def test_a_wall_is_as_strong_as_its_mean():
    edges = np.zeros((40, 41), dtype=np.float32)
    edges[:, 20] = 0.8
    edges[10:20, 20] = 0.4
    tree = build_hierarchy(edges, area_power=0.0)
    assert tree.leaves == 2
    assert tree.births[-1] == pytest.approx((30 * 0.8 + 10 * 0.4) / 40, abs=0.02)


def test_merged_boundaries_count_by_their_length():
    """A touches C along 30 px at 0.6, B touches C along 10 px at 0.2, and A at 0.1. Once A and B
    are one, their boundary to C is (30 * 0.6 + 10 * 0.2) / 40 = 0.5, and not 0.4."""
    edges = np.zeros((41, 21), dtype=np.float32)
    edges[:, 10] = 0.6  # C lies to the right of it
    edges[31:, 10] = 0.2
    edges[30, :10] = 0.1  # A above, B below
    tree = build_hierarchy(edges, area_power=0.0)
    assert tree.leaves == 3
    assert tree.births[-2] == pytest.approx(0.1)
    assert tree.births[-1] == pytest.approx(0.5, abs=0.02)


def test_a_small_region_needs_a_stronger_edge():
    """A room of 1/16 of the image behind a wall of 0.8, halves divided by one of 0.5: times the
    root of the areas' share that is 0.2 and 0.35, so the small room goes first."""
    edges = np.zeros((80, 80), dtype=np.float32)
    edges[:, 40] = 0.5
    edges[30:51, 50] = edges[30:51, 70] = edges[30, 50:71] = edges[50, 50:71] = 0.8
    only_edges, with_areas = (build_hierarchy(edges, area_power=p) for p in (0.0, 0.5))
    room = only_edges.labels[40, 60]
    assert only_edges.parents[room] == 4
    assert with_areas.parents[room] == 3
    np.testing.assert_allclose(with_areas.births[3:], [0.2, 0.35], atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_the_tree_is_an_ultrametric(seed):
    tree = build_hierarchy(noise(seed), blur=1.0)
    assert tree.leaves > 20
    assert (np.diff(tree.births) >= 0).all()
    assert (tree.parents[:-1] > np.arange(len(tree.parents) - 1)).all()
    assert (np.bincount(tree.parents[:-1])[tree.leaves :] == 2).all()
    coarser = [partition(tree.nodes_at(s)) for s in np.linspace(0, 1, 9)]
    assert all((fine <= coarse).all() for fine, coarse in pairwise(coarser))
    for count in (1, 2, 7, tree.leaves):
        assert len(np.unique(tree.nodes_of_count(count))) == count


def test_contours_and_partitions_agree():
    tree = build_hierarchy(noise(5), blur=1.5)
    drawn = contours(tree)
    for strength in np.quantile(tree.births, [0.6, 0.8, 0.95]):
        regions = tree.nodes_at(strength)[tree.labels]
        right = regions[:-1, :-1] != regions[:-1, 1:]
        down = regions[:-1, :-1] != regions[1:, :-1]
        np.testing.assert_array_equal(drawn[:-1, :-1] > np.float32(strength), right | down)


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        (np.zeros((2, 3, 4)), r"must be \(H, W\)"),
        (np.zeros((0, 4)), r"must be \(H, W\)"),
        (np.full((3, 4), 1.5), r"lie in \[0, 1\]"),
        (np.full((3, 4), np.nan), r"lie in \[0, 1\]"),
    ],
)
def test_what_is_no_edge_map_is_refused(edges, words):
    with pytest.raises(ValueError, match=words):
        build_hierarchy(edges)


def test_negative_edges_are_refused():
    edges = np.zeros((3, 4))
    edges[1, 2] = -0.25
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        build_hierarchy(edges)
