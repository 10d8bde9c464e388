import numpy as np
import pytest

from trace_edges.instances.candidates import candidates_from_edges
from trace_edges.instances.hierarchy import build_hierarchy
from trace_edges.instances.regions import (
    instances_at,
    instances_from_edges,
    instances_of_count,
    is_ground,
    usual_levels,
)
from trace_edges.results import EdgeMap, InstanceMasks

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
    ("find", "settings", "strength"),
    [
        ("objects", {"method": "one-step", "backbone": "trace-mini"}, 0.05),
        ("areas", {"method": "one-step", "backbone": "trace-mini"}, 0.125),
        ("objects", {"method": "one-step", "backbone": None}, 0.08),
        ("areas", {"method": "one-step", "backbone": None}, 0.3),
        ("objects", {"method": "training-free", "backbone": "trace-mini"}, 0.15),
        ("areas", {"method": "training-free", "backbone": "trace-mini"}, 0.25),
        ("objects", {}, 0.08),
    ],
)
def test_the_usual_strength_is_for_objects_or_for_areas(find, settings, strength):
    edges = np.zeros((1, 6, 9), dtype=np.float32)
    drawn = EdgeMap(edges, edges > 0, settings=settings)
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
    assert len(candidates_from_edges(np.zeros((20, 30)))) == 0


def test_the_least_area_is_a_share_of_the_image_that_a_region_may_just_have():
    """A wall between columns 3 and 4 of 8 leaves two halves, of exactly half the image each."""
    edges = np.zeros((4, 8), dtype=np.float32)
    edges[:, 3:5] = 0.5
    tree = build_hierarchy(edges, area_power=0.0)
    assert instances_at(tree, 0.25, min_area=0.5).areas.tolist() == [16, 16]
    assert len(instances_at(tree, 0.25, min_area=0.51)) == 0
    assert instances_at(tree, 1.0, min_area=1.0).areas.tolist() == [32]
    assert len(candidates_from_edges(tree, min_area=0.5)) == 2


@pytest.mark.parametrize("strength", [2, -0.1, np.nan])
def test_strengths_out_of_range_are_refused(strength):
    with pytest.raises(ValueError, match=r"strength must lie in \[0, 1\]"):
        instances_from_edges(np.zeros((8, 8), dtype=np.float32), strength)


def test_three_levels_lead_from_objects_to_areas():
    assert usual_levels(3) == [0.08, 0.1549, 0.3]
    assert usual_levels(2, "training-free") == [0.15, 0.25]


def test_ground_touches_three_sides_or_covers_most_of_the_image():
    masks = np.zeros((5, 20, 30), dtype=bool)
    masks[0, 14:] = True  # the lowest rows, from side to side
    masks[1, :, 10:] = True  # three sides
    masks[2, 5:20, 0:12] = True  # a corner
    masks[3, 2:18, 2:28] = True  # 416 of 600 px, no side
    masks[4, 3:9, 0:30] = True  # a band, two sides
    found = InstanceMasks(masks)
    assert is_ground(found).tolist() == [True, True, False, True, False]
    assert is_ground(found, max_area=0.7).tolist() == [True, True, False, False, False]
