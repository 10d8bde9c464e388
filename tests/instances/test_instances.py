import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_edges.instances import Propagation, refine_instances
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
