import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from trace_edges.instances import (
    Propagation,
    instances_from_edges,
    merge_overlapping,
    refine_instances,
)
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.lines import suppress_non_maxima
from trace_edges.results import InstanceMasks

NO_EDGES = np.zeros((80, 80), dtype=np.float32)


def disc(row=40, column=40, radius=30):
    rows, columns = np.mgrid[:80, :80]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def cut_at(column):
    edges = NO_EDGES.copy()
    edges[:, column] = 1
    return edges


def test_a_disc_given_as_overlapping_masks_becomes_one():
    masks = np.stack([disc(), disc(radius=27), disc(column=44)])
    refined = refine_instances(masks, NO_EDGES)
    assert len(refined) == 1
    assert np.array_equal(refined[0], masks.any(axis=0))


def test_a_mask_over_two_instances_is_cut_and_keeps_its_score():
    masks = InstanceMasks(disc()[None], np.array([0.25], dtype=np.float32), {"source": "drawn"})
    refined = refine_instances(masks, cut_at(45))
    assert len(refined) == 2
    assert refined.scores.tolist() == [0.25, 0.25]
    assert refined.areas[0] > refined.areas[1]
    assert np.array_equal(refined.masks.sum(axis=0), disc())
    assert refined.settings["source"] == "drawn"
    assert refined.settings["propagation"]["close_gap"] == 5


def test_a_half_merges_with_the_mask_that_has_it_already():
    half = disc()
    half[:, :45] = False
    masks = np.stack([disc(), half])
    assert len(refine_instances(masks, cut_at(45))) == 2


def test_fragments_keep_the_class_of_their_mask_and_classes_are_not_merged():
    masks = InstanceMasks(np.stack([disc(), disc(), disc()])).named(["cat", "dog", "cat"])
    refined = refine_instances(masks, cut_at(45))
    assert refined.classes == ("cat", "cat", "dog", "dog")
    for name in ("cat", "dog"):
        own = refined[[one == name for one in refined.classes]]
        assert np.array_equal(own.masks.sum(axis=0), disc())


def test_the_kind_that_is_given_comes_back():
    edges = cut_at(45)
    labels = np.where(disc(), 7, 0).astype(np.uint8)
    refined = refine_instances(labels, edges)
    assert refined.dtype == np.int32
    assert set(np.unique(refined)) == {0, 1, 2}
    assert np.array_equal(refined > 0, labels > 0)
    assert refine_instances(disc(), edges).shape == (2, 80, 80)
    assert isinstance(refine_instances(InstanceMasks.from_labels(labels), edges), InstanceMasks)


def test_labels_that_touch_stay_apart_without_an_edge():
    labels = np.zeros((80, 80), dtype=np.int64)
    labels[:, :40], labels[:, 40:] = 3, 9
    refined = refine_instances(labels, NO_EDGES)
    assert (refined[:, :40] == 1).all()
    assert (refined[:, 40:] == 2).all()


def test_an_island_goes_to_the_nearest_fragment():
    mask = disc(radius=20)
    mask[2:5, 70:73] = True  # 9 px, and the right half is nearer
    left, right = sorted(refine_instances(mask, cut_at(40)), key=lambda m: m[3, 71])
    assert right[2:5, 70:73].all()
    assert right[40, 55]
    assert left[40, 25]
    assert len(refine_instances(mask, cut_at(40), propagation=Propagation(min_area=0))) == 3


def parts(*columns):
    """Upright bars of 20 x 10 px."""
    mask = np.zeros((80, 80), dtype=bool)
    for column in columns:
        mask[10:30, column : column + 10] = True
    return mask


def test_parts_that_no_edge_divides_stay_one_unless_they_are_to_be_split():
    behind_a_post = parts(5, 30)
    for edges in (NO_EDGES, cut_at(20)):  # the post may have edges: they divide nothing
        (whole,) = refine_instances(behind_a_post, edges)
        assert np.array_equal(whole, behind_a_post)
        assert refine_instances(behind_a_post * np.int32(7), edges).max() == 1
        split = refine_instances(behind_a_post, edges, split_parts=True)
        assert sorted(mask.any(axis=0).argmax() for mask in split) == [5, 30]


def test_a_part_that_an_edge_divides_is_divided_and_the_others_stay_one():
    refined = refine_instances(
        parts(5, 30, 60), cut_at(34), propagation=Propagation(min_radius=1.5)
    )
    columns = (set(np.flatnonzero(mask.any(axis=0)).tolist()) - {34} for mask in refined)
    expected = [{*range(5, 15), *range(60, 70)}, {*range(30, 34)}, {*range(35, 40)}]
    assert sorted(map(sorted, columns)) == sorted(map(sorted, expected))


def test_masks_without_a_pixel_are_left_out():
    masks = np.stack([np.zeros((80, 80), dtype=bool), disc()])
    assert len(refine_instances(masks, NO_EDGES)) == 1
    assert refine_instances(np.zeros((0, 80, 80), dtype=bool), NO_EDGES).shape == (0, 80, 80)
    assert not refine_instances(np.zeros((80, 80), dtype=np.int32), NO_EDGES).any()


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 4), side=st.integers(2, 20))
def test_nothing_is_lost_and_nothing_is_invented(seed, count, side):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, side, side + 3), dtype=bool)
    for mask in masks:
        (top, left), size = rng.integers(0, side, 2), rng.integers(1, side + 1, 2)
        mask[top : top + size[0], left : left + size[1]] = True
    masks &= rng.random(masks.shape) < rng.choice([0.5, 0.9, 1.0])
    edges = rng.random(masks.shape[1:]) * rng.random()
    refined = refine_instances(masks, edges)
    assert np.array_equal(refined.any(axis=0), masks.any(axis=0))
    assert refined.any(axis=(1, 2)).all()
    order = 1 + np.arange(count)[:, None, None]
    labels = np.where(masks, order, 0).max(axis=0)
    again = refine_instances(labels, edges)
    assert np.array_equal(again > 0, labels > 0)
    for number in range(1, again.max() + 1):
        assert len(np.unique(labels[again == number])) == 1


def test_wrong_masks():
    with pytest.raises(ValueError, match="height and width are swapped"):
        refine_instances(np.ones((2, 5, 7), dtype=bool), np.zeros((7, 5)))
    with pytest.raises(ValueError, match="compare a soft mask with a threshold"):
        refine_instances(np.ones((2, 5, 7)), np.zeros((5, 7)))
    with pytest.raises(ValueError, match="integer labels"):
        refine_instances(np.ones((2, 5, 7), dtype=np.uint8), np.zeros((5, 7)))
    with pytest.raises(ValueError, match="a label map holds -1"):
        refine_instances(np.full((5, 7), -1), np.zeros((5, 7)))


def bars(*spans, scores=None, width=100):
    """Masks of one row, from so many columns to so many."""
    masks = np.zeros((len(spans), 1, width), dtype=bool)
    for mask, (start, stop) in zip(masks, spans, strict=True):
        mask[0, start:stop] = True
    if scores is None:
        scores = np.ones(len(spans))
    return InstanceMasks(masks, np.asarray(scores, dtype=np.float32))


def spans(masks):
    return [(int(left), int(right)) for left, _, right, _ in masks.boxes]


def test_an_iou_of_one_half_is_not_enough():
    # 20 of 40 px are common: IoU 1/2.  21 of 39: more.
    assert spans(merge_overlapping(bars((0, 30), (10, 40)))) == [(0, 30), (10, 40)]
    assert spans(merge_overlapping(bars((0, 30), (9, 39)))) == [(0, 39)]


def test_chains_merge_and_again_until_nothing_changes():
    # Both neighbours of 9-39 have 21/39 and 24/51 in common with it, and 0-39 with 15-60 24/60.
    assert spans(merge_overlapping(bars((0, 30), (9, 39), (15, 60)))) == [(0, 39), (15, 60)]
    # 0-60 is 30/60 of either of the first two, but 39/60 of what they become.
    assert spans(merge_overlapping(bars((0, 30), (9, 39), (0, 60)))) == [(0, 60)]


def test_the_best_score_and_the_first_place_stay():
    merged = merge_overlapping(bars((50, 90), (0, 20), (50, 88), scores=[0.2, 0.5, 0.75]))
    assert spans(merged) == [(50, 90), (0, 20)]
    assert merged.scores.tolist() == [0.75, 0.5]


def test_order_does_not_matter():
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 60, 12)
    all_spans = [(int(s), int(s + rng.integers(20, 40))) for s in starts]
    expected = set(spans(merge_overlapping(bars(*all_spans))))
    assert len(expected) < 12
    for _ in range(5):
        rng.shuffle(all_spans)
        assert set(spans(merge_overlapping(bars(*all_spans)))) == expected


def test_boxes_that_overlap_without_a_common_pixel():
    masks = np.stack([np.eye(8, dtype=bool), ~np.eye(8, dtype=bool)])
    assert len(merge_overlapping(InstanceMasks(masks, np.ones(2, dtype=np.float32)), 0)) == 2


def test_no_mask_and_a_wrong_iou():
    assert len(merge_overlapping(bars())) == 0
    with pytest.raises(ValueError, match="iou must lie in"):
        merge_overlapping(bars((0, 4)), 1.5)


@pytest.mark.parametrize("strength", [0.05, 0.125, 0.3])
@pytest.mark.parametrize("dividing", [0, 0.95])
def test_regions_refined_at_the_edges_that_closed_them_stay_as_they_are(strength, dividing):
    # Nine rooms, whose walls have strengths of .1 to 1, smoothed as a detector's.
    rooms = np.zeros((120, 120), dtype=int)
    rooms[:] = np.arange(120)[:, None] // 40 * 3 + np.arange(120) // 40
    walls = boundaries_from_labels(rooms) * np.linspace(0.1, 1, 9)[rooms]
    edges = gaussian_filter(walls, 1.5)
    edges = (edges / edges.max()).astype(np.float32)
    lines = suppress_non_maxima(edges)
    found = instances_from_edges(edges, strength)
    how = Propagation(dividing=dividing)
    refined = refine_instances(found, lines, propagation=how)
    assert 1 < len(found) <= 9
    assert np.array_equal(refined.label_map, found.label_map)
    whole = np.ones((1, 120, 120), dtype=bool)  # these lines do cut what they divide
    how = Propagation(threshold=0.2, dividing=0)
    assert len(refine_instances(whole, lines, propagation=how)) > 1
