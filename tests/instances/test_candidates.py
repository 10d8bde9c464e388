import numpy as np
import pytest

from trace_edges.instances.candidates import candidates_from_edges, distinct_nodes
from trace_edges.instances.hierarchy import build_hierarchy


def noise(seed, shape=(40, 50)):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def ious(found):
    flat = found.masks.reshape(len(found), -1).astype(np.float32)
    shared = flat @ flat.T
    apart = shared / (found.areas[:, None] + found.areas - shared)
    np.fill_diagonal(apart, 0)
    return apart


def nested():
    """From a room slices are cut off one by one, each behind a stronger wall than the one before:
    rooms of 16, 17 .. 23 units lie within each other."""
    edges = np.zeros((8, 4 * 24), dtype=np.float32)
    for strength, width in enumerate(range(16, 24), 1):
        edges[:, 4 * width - 1 : 4 * width + 1] = strength / 10
    return build_hierarchy(edges, area_power=0.0)


def test_a_box_with_a_wall_around_it_is_the_likeliest_and_its_surroundings_are_not():
    """A strong wall around the middle; a weak one divides what is outside."""
    edges = np.zeros((60, 80), dtype=np.float32)
    edges[20:40, 30:50] = 0.6
    edges[22:38, 32:48] = 0
    edges[:, 10] = 0.1
    found = candidates_from_edges(edges)
    best = found.masks[0]
    assert best[30, 40]
    assert not best[[0, 30, 59], [0, 5, 79]].any()
    assert 16 * 16 <= found.areas[0] <= 20 * 20
    assert found.scores[0] > 2 * found.scores[1:].max()
    assert found.settings["source"] == "edges"


def test_candidates_are_few_of_falling_score_and_unlike_each_other():
    edges = noise(8, (60, 60))
    found = candidates_from_edges(edges, top_k=30, max_iou=0.6, min_area=0.002)
    assert len(found) == 30
    assert (np.diff(found.scores) <= 0).all()
    assert (found.areas >= 0.002 * edges.size).all()
    assert 0.3 < ious(found).max() <= 0.6
    assert (found.areas < edges.size).all()  # the whole image is none


def test_by_default_there_are_a_hundred_and_the_first_of_them_are_those_of_a_lower_limit():
    tree = build_hierarchy(noise(10, (60, 60)))
    many, few = candidates_from_edges(tree), candidates_from_edges(tree, top_k=10)
    assert len(many) == 100
    assert 0.5 < ious(many).max() <= 0.75
    np.testing.assert_array_equal(few.masks, many.masks[:10])


def test_those_with_a_lower_score_are_left_out():
    tree = build_hierarchy(noise(11))
    every = candidates_from_edges(tree)
    limit = float(every.scores[20:22].mean())
    assert 0 < every.scores[21] < limit < every.scores[20]
    some = candidates_from_edges(tree, min_score=limit)
    np.testing.assert_array_equal(some.masks, every.masks[every.scores >= limit])


def test_an_iou_of_the_limit_is_not_too_like():
    """Two rooms of 16 px become one of 32 px, of which each is one half; 32 px lie apart."""
    edges = np.zeros((4, 16), dtype=np.float32)
    edges[:, 3:5], edges[:, 7:9] = 0.2, 0.8
    tree = build_hierarchy(edges, area_power=0.0)
    half = sorted(candidates_from_edges(tree, max_iou=0.5).areas.tolist())
    assert half == [16, 16, 32, 32]
    assert candidates_from_edges(tree, max_iou=0.49).areas.tolist() == [32, 32]


@pytest.mark.parametrize(
    ("first", "units"),
    [
        ("large", [23, 20, 18, 16]),  # 22 and 21 fill more than nine tenths of 23
        ("small", [16, 18, 20, 23]),  # 16 fills more than nine tenths of 17, but not of 18
        ("middle", [20, 23, 18, 16]),
    ],
)
def test_a_region_rules_out_those_that_hold_it_and_those_in_it(first, units):
    """Of the rooms of 16 .. 23 units no two may stay whose ratio is above 0.9."""
    tree = nested()
    rooms = np.flatnonzero((tree.areas >= 16 * 32) & (tree.areas < 24 * 32))
    rooms = rooms[np.argsort(tree.areas[rooms])]
    ranked = {"large": rooms[::-1], "small": rooms, "middle": rooms[[4, 7, 6, 5, 3, 2, 1, 0]]}
    kept = distinct_nodes(tree, ranked[first], 100, 0.9)
    assert (tree.areas[kept] // 32).tolist() == units
    assert len(distinct_nodes(tree, rooms, 100, 1.0)) == 8


@pytest.mark.parametrize("edges", [np.zeros((0, 5)), np.full((5, 5), 2.0)])
def test_what_is_no_map_is_refused(edges):
    with pytest.raises(ValueError, match="edges must"):
        candidates_from_edges(edges)
