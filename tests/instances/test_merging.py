import numpy as np
import pytest

from trace_edges.instances import merge_overlapping
from trace_edges.results import InstanceMasks


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
