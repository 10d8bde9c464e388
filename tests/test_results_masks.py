"""Instance masks and panoptic maps: what they hold and what they refuse."""

import numpy as np
import pytest
import torch

from trace_edges.results import InstanceMasks, PanopticMap, Segment


def two_masks():
    """A rectangle of 12 pixels and, partly on it, one of 4."""
    masks = np.zeros((2, 6, 8), dtype=bool)
    masks[0, 1:4, 2:6] = True
    masks[1, 3:5, 5:7] = True
    return InstanceMasks(masks, np.array([0.5, 1], dtype=np.float32))


def test_areas_boxes_and_labels():
    masks = two_masks()
    assert len(masks) == 2
    assert masks.shape == (6, 8)
    assert masks.areas.tolist() == [12, 4]
    assert masks.boxes.tolist() == [[2, 1, 6, 4], [5, 3, 7, 5]]
    labels = masks.label_map
    assert labels[3, 5] == 2  # the smaller one lies on top
    assert (labels == 1).sum() == 11
    assert (labels == 2).sum() == 4


def test_no_mask_at_all_is_a_result_too():
    none = InstanceMasks(np.zeros((0, 6, 8), dtype=bool), np.zeros(0, dtype=np.float32))
    assert none.areas.shape == (0,)
    assert none.boxes.shape == (0, 4)
    assert not none.label_map.any()


def test_labels_become_masks():
    labels = np.array([[7, 7, 0], [0, 3, 3]])
    masks = InstanceMasks.from_labels(labels)
    np.testing.assert_array_equal(masks.masks, [labels == 3, labels == 7])
    assert len(InstanceMasks.from_labels(labels, background=-1)) == 3


@pytest.mark.parametrize(
    ("masks", "scores", "message"),
    [
        (np.ones((1, 2, 2)), [1], "boolean"),
        (np.ones((2, 2), dtype=bool), [1, 1], "boolean"),
        (np.ones((2, 2, 2), dtype=bool), [1], "2 masks need as many scores"),
        (np.ones((1, 2, 2), dtype=bool), [1.5], r"\[0, 1\]"),
        (np.ones((1, 2, 2), dtype=bool), [np.nan], r"\[0, 1\]"),
        (np.zeros((1, 2, 2), dtype=bool), [1], "without pixels"),
    ],
)
def test_wrong_masks_are_refused(masks, scores, message):
    with pytest.raises(ValueError, match=message):
        InstanceMasks(masks, np.array(scores, dtype=np.float32))


def test_a_panoptic_map_lists_what_it_draws():
    ids = np.array([[0, 1, 1], [2, 2, 1]], dtype=np.int32)
    one, two = Segment(1, 17, thing=True), Segment(2, 100, thing=False)
    assert PanopticMap(ids, (one, two)).segments == (one, two)
    for segments in ((one,), (one, two, two), (one, two, Segment(3, 5, thing=True))):
        with pytest.raises(ValueError, match="differ"):
            PanopticMap(ids, segments)
    with pytest.raises(ValueError, match="one segment"):
        PanopticMap(ids, (Segment(1, 100, thing=False), two))
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        PanopticMap(ids[None], (one, two))


def test_masks_are_held_within_their_boxes():
    masks = two_masks()
    assert [crop.shape for crop in masks.crops] == [(3, 4), (2, 2)]
    again = InstanceMasks.cropped(masks.windows, masks.crops, (6, 8), masks.scores)
    np.testing.assert_array_equal(again.masks, masks.masks)
    with pytest.raises(ValueError, match="read-only"):
        masks.masks[0, 0, 0] = True


def test_thousands_of_masks_in_a_large_image_need_little_memory(tmp_path):
    """2,000 squares of 50 px in 24 megapixels; a dense stack of them would be 48 GB."""
    corners = [(row, column) for row in range(0, 4000, 100) for column in range(0, 5000, 100)]
    windows = [(slice(row, row + 50), slice(column, column + 50)) for row, column in corners]
    masks = InstanceMasks.cropped(windows, [np.ones((50, 50), dtype=bool)] * 2000, (4000, 6000))
    assert masks.areas.sum() == 2000 * 2500 == np.count_nonzero(masks.label_map)
    masks.save(tmp_path / "masks.npz")
    loaded = InstanceMasks.load(tmp_path / "masks.npz")
    np.testing.assert_array_equal(loaded.boxes, masks.boxes)
    assert len(masks[masks.areas > 0] + loaded) == 4000


def test_lists_and_tensors_are_taken():
    masks = two_masks()
    for given in (list(masks.masks), torch.tensor(masks.masks), [*torch.tensor(masks.masks)]):
        taken = InstanceMasks(given, [0.5, 1])
        np.testing.assert_array_equal(taken.masks, masks.masks)
        assert taken.scores.dtype == np.float32
    assert InstanceMasks(masks.masks).scores.tolist() == [1, 1]
    assert len(masks[torch.tensor([False, True])]) == 1
    assert len(InstanceMasks.from_labels([[1, 1], [0, 2]])) == 2


def test_masks_are_indexed_iterated_and_joined_as_lists_are():
    masks = two_masks()
    assert [one.areas.tolist() for one in masks] == [[12], [4]]
    assert masks[-1].areas.tolist() == masks[1:].areas.tolist() == [4]
    assert masks[masks.areas > 5].scores.tolist() == masks[[True, False]].scores.tolist() == [0.5]
    assert (masks + masks[[1, 0]]).areas.tolist() == [12, 4, 4, 12]
    for odd in ([True], 2, [2]):
        with pytest.raises(IndexError):
            masks[odd]
    for odd in ("dog", None, 1.5):
        with pytest.raises(TypeError, match=f"not by {odd}"):
            masks[odd]
    assert len(InstanceMasks.from_labels(np.zeros((0, 5), dtype=int))) == 0
    with pytest.raises(TypeError, match="InstanceMasks"):
        masks + list(masks)
    with pytest.raises(ValueError, match="are not of one image"):
        masks + InstanceMasks(np.ones((1, 2, 2), dtype=bool))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[-1, 1]], "a label map holds -1"),
        ([[0.5, 1]], r"a label map is \(h, w\) integers, not float64"),
        ([[[0, 1]]], r"a label map is \(h, w\) integers, not int64 \(1, 1, 2\)"),
    ],
)
def test_label_maps_that_are_none_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        InstanceMasks.from_labels(labels)


def test_tensors_of_torchvision():
    tensors = two_masks().to("cpu")
    assert tensors["boxes"].tolist() == [[2, 1, 6, 4], [5, 3, 7, 5]]
    assert tensors["boxes"].dtype == torch.float32
    assert tensors["masks"].shape == (2, 6, 8)
    assert tensors["masks"].dtype == torch.uint8
    assert tensors["labels"].tolist() == [1, 1]
    assert tensors["scores"].tolist() == [0.5, 1]
