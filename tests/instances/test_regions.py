import numpy as np
import pytest

from trace_edges.instances.hierarchy import build_hierarchy
from trace_edges.instances.regions import (
    instances_at,
    instances_from_edges,
    instances_of_count,
    proposals,
)
from trace_edges.results import EdgeMap

# Three rooms side by side: a weak wall (0.2) at column 10, a strong one (0.8) at column 20.
#   columns 0 .. 9 | wall | 11 .. 19 | wall | 21 .. 30
ROOMS = np.zeros((12, 31), dtype=np.float32)
ROOMS[:, 10], ROOMS[:, 20] = 0.2, 0.8
TREE = build_hierarchy(ROOMS, area_power=0.0)


def noise(seed, shape=(40, 50)):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


@pytest.mark.parametrize(("strength", "regions"), [(0.1, 3), (0.5, 2), (0.9, 1)])
def test_a_strength_gives_the_regions_that_stronger_edges_close(strength, regions):
    found = instances_at(TREE, strength)
    assert len(found) == regions
    assert (found.masks.sum(axis=0) == 1).all()  # a partition
    assert found.settings["strength"] == strength


def test_regions_of_several_levels_are_alternatives_and_none_is_there_twice():
    found = instances_at(TREE, (0.5, 0.1))
    # Level .5: the two rooms to the left as one, and the right one; level .1 divides the left two.
    assert found.areas.tolist() == sorted(found.areas.tolist(), reverse=True)
    assert sorted(found.masks[:, 5, [3, 15, 27]].astype(int).tolist()) == [
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [1, 1, 0],
    ]
    assert found.settings["strength"] == [0.5, 0.1]
    assert instances_from_edges(ROOMS, [0.0, 1.0]).masks[0].all()  # the whole, and its parts
    with pytest.raises(ValueError, match="no strength is given"):
        instances_at(TREE, [])


@pytest.mark.parametrize(
    ("find", "method", "strength"),
    [
        ("objects", "one-step", 0.05),
        ("areas", "one-step", 0.125),
        ("objects", "training-free", 0.15),
        ("areas", "training-free", 0.25),
    ],
)
def test_the_usual_strength_is_for_objects_or_for_areas(find, method, strength):
    edges = np.zeros((1, 6, 9), dtype=np.float32)
    drawn = EdgeMap(edges, edges > 0, settings={"method": method})
    assert instances_from_edges(drawn, find=find).settings["strength"] == strength


def test_an_aim_that_is_none_is_refused():
    with pytest.raises(ValueError, match="find must be one of objects, areas, not 'things'"):
        instances_from_edges(ROOMS, find="things")


def test_a_count_gives_that_many_regions():
    assert [len(instances_of_count(TREE, n)) for n in (1, 2, 3)] == [1, 2, 3]
    two = instances_of_count(TREE, 2)
    assert two.masks[0, 5, [3, 15]].all()  # the larger first, over the weak wall
    assert two.masks[1, 5, 27]


@pytest.mark.parametrize("count", [0, 4])
def test_a_count_that_the_edges_do_not_close_is_refused(count):
    with pytest.raises(ValueError, match=f"1 to 3 regions, not {count}"):
        instances_of_count(TREE, count)


def test_transposed_edges_give_transposed_regions():
    edges = noise(7)
    one, other = (instances_from_edges(e, 0.15) for e in (edges, edges.T))
    assert len(one) > 5
    same = {mask.tobytes() for mask in one.masks}
    assert same == {np.ascontiguousarray(mask.T).tobytes() for mask in other.masks}


def test_no_edges_are_one_region():
    assert len(instances_from_edges(np.zeros((20, 30), dtype=np.float32))) == 1
    assert len(proposals(build_hierarchy(np.zeros((20, 30))))) == 0


def test_proposals_are_regions_of_every_strength_the_surest_first():
    found = proposals(TREE)
    np.testing.assert_allclose(found.scores, [0.8, 0.8, 0.2, 0.2], rtol=1e-6)
    assert found.masks[0, 5, [3, 15]].all()  # two rooms
    assert found.masks[1, 5, 27]  # the third


def test_proposals_are_few_large_and_unlike_each_other():
    edges = noise(8, (60, 60))
    found = proposals(build_hierarchy(edges), limit=30, max_iou=0.6, min_area=0.002)
    assert len(found) == 30
    assert (np.diff(found.scores) <= 0).all()
    assert (found.areas >= 0.002 * edges.size).all()
    flat = found.masks.reshape(30, -1).astype(np.float32)
    shared = flat @ flat.T
    iou = shared / (found.areas[:, None] + found.areas - shared)
    np.fill_diagonal(iou, 0)
    assert 0.3 < iou.max() <= 0.6


def test_the_least_area_is_a_share_of_the_image_that_a_region_may_just_have():
    """A wall between columns 3 and 4 of 8 leaves two halves, of exactly half the image each."""
    edges = np.zeros((4, 8), dtype=np.float32)
    edges[:, 3:5] = 0.5
    tree = build_hierarchy(edges, area_power=0.0)
    assert instances_at(tree, 0.25, min_area=0.5).areas.tolist() == [16, 16]
    assert len(instances_at(tree, 0.25, min_area=0.51)) == 0
    assert instances_at(tree, 1.0, min_area=1.0).areas.tolist() == [32]
    assert len(proposals(tree, min_area=0.5)) == 2


def test_an_iou_of_the_limit_is_not_too_like():
    """Two rooms of 16 px become one of 32 px, of which each is one half; 32 px lie apart."""
    edges = np.zeros((4, 16), dtype=np.float32)
    edges[:, 3:5], edges[:, 7:9] = 0.2, 0.8
    tree = build_hierarchy(edges, area_power=0.0)
    assert proposals(tree, max_iou=0.5).areas.tolist() == [32, 32, 16, 16]
    assert proposals(tree, max_iou=0.49).areas.tolist() == [32, 32]


def test_of_regions_within_each_other_each_is_compared_with_all_that_hold_it():
    """From a room slices are cut off one by one, each behind a stronger wall than the one before.
    Of the nested rooms of 16, 17 .. 23 units no two may stay whose ratio is above 0.9."""
    edges = np.zeros((8, 4 * 24), dtype=np.float32)
    for strength, width in enumerate(range(16, 24), 1):
        edges[:, 4 * width - 1 : 4 * width + 1] = strength / 10
    tree = build_hierarchy(edges, area_power=0.0)
    for found in (
        proposals(tree, max_iou=0.9, min_area=16 / 24),
        proposals(tree, min_area=16 / 24),
    ):
        assert (found.areas // (8 * 4)).tolist() == [23, 20, 18, 16]
    assert len(proposals(tree, max_iou=1, min_area=16 / 24)) == 8


def test_by_default_there_are_a_hundred_at_most_and_none_alike():
    found = proposals(build_hierarchy(noise(10, (60, 60))))
    assert len(found) == 100
    flat = found.masks.reshape(100, -1).astype(np.float32)
    shared = flat @ flat.T
    iou = shared / (found.areas[:, None] + found.areas - shared)
    np.fill_diagonal(iou, 0)
    assert 0.6 < iou.max() <= 0.9


def test_a_limit_keeps_the_first():
    many, few = (proposals(build_hierarchy(noise(9)), limit=n) for n in (40, 10))
    np.testing.assert_array_equal(few.masks, many.masks[:10])


@pytest.mark.parametrize("strength", [2, -0.1, np.nan])
def test_strengths_out_of_range_are_refused(strength):
    with pytest.raises(ValueError, match=r"strength must lie in \[0, 1\]"):
        instances_from_edges(np.zeros((8, 8), dtype=np.float32), strength)
