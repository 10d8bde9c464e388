import json

import numpy as np
import pytest

from trace_edges.evaluation.corrections import Corrections, compare, evaluate_corrections
from trace_edges.formats.coco import export_coco
from trace_edges.results import InstanceMasks

pytest.importorskip("pycocotools.mask")


def boxes(*corners, size=(60, 80)):
    """One mask for each (top, left, bottom, right)."""
    masks = np.zeros((len(corners), *size), dtype=bool)
    for mask, (top, left, bottom, right) in zip(masks, corners, strict=True):
        mask[top:bottom, left:right] = True
    return InstanceMasks(masks)


ONE, OTHER = (5, 5, 25, 25), (30, 40, 55, 75)  # four vertices each, with a corner cut off at most


def corners(*which):
    """Clicks that the outlines of these boxes take."""
    return compare(boxes(ONE), boxes(*which)).clicks_from_nothing


def counts(found):
    names = ("kept", "adjusted", "added", "deleted", "split", "merged")
    return {name: getattr(found, name) for name in names if getattr(found, name)}


def test_what_was_left_alone_takes_no_click_and_picking_it_takes_one():
    masks = boxes(ONE, OTHER)
    found = compare(masks, masks)
    assert counts(found) == {"kept": 2}
    assert found.clicks == 0
    assert found.saved == 1
    assert 8 <= found.clicks_from_nothing <= 16
    assert compare(masks, masks, suggestions=True).clicks == 2


def test_one_added_and_one_deleted():
    found = compare(boxes(ONE), boxes(OTHER))
    assert counts(found) == {"added": 1, "deleted": 1}
    assert found.clicks == corners(OTHER) + 1
    assert found.saved < 0
    assert compare(boxes(ONE), boxes(OTHER), suggestions=True).clicks == corners(OTHER)


def test_an_adjusted_mask_costs_the_vertices_that_lie_elsewhere():
    """The right side moves by 8 px: of four corners two are new."""
    moved = (5, 5, 25, 33)
    found = compare(boxes(ONE), boxes(moved))
    assert counts(found) == {"adjusted": 1}
    assert found.clicks == 1 + corners(moved) / 2


def test_less_than_a_half_in_common_is_another_mask():
    far = (5, 19, 25, 39)  # shares 6 of 34 columns
    assert counts(compare(boxes(ONE), boxes(far))) == {"added": 1, "deleted": 1}
    assert counts(compare(boxes(ONE), boxes(far), min_iou=0.1)) == {"adjusted": 1}


def test_a_mask_that_was_divided_was_split():
    """The ends of the cut lie on the old outline. The larger part is the old mask, adjusted."""
    left, right = (30, 40, 55, 63), (30, 63, 55, 75)
    found = compare(boxes(OTHER), boxes(left, right))
    assert counts(found) == {"adjusted": 1, "split": 1}
    assert found.clicks == 2


def test_masks_that_became_one_were_merged():
    left, right = (30, 40, 55, 57), (30, 57, 55, 75)
    found = compare(boxes(left, right), boxes(OTHER))
    assert counts(found) == {"merged": 1}
    assert found.clicks == 2  # both are named; their common outline is right


def test_suggestions_are_not_taken_where_drawing_needs_fewer_clicks():
    strips = [(30, 40 + 5 * k, 55, 45 + 5 * k) for k in range(7)]
    found = compare(boxes(*strips), boxes(OTHER))
    assert counts(found) == {"merged": 1}
    assert found.clicks == 7
    assert compare(boxes(*strips), boxes(OTHER), suggestions=True).clicks == corners(OTHER) < 7


def test_a_small_mask_within_a_large_one_is_no_part_of_it():
    """Ground and a thing on it: the thing was drawn, and the ground deleted."""
    found = compare(boxes((0, 0, 60, 80)), boxes(ONE, (30, 40, 40, 50)))
    assert counts(found) == {"added": 2, "deleted": 1}


def test_a_class_that_was_changed_costs_a_click():
    before = boxes(ONE, OTHER).named(["dog", "cat"])
    found = compare(before, before.named(["dog", "chair"]))
    assert (found.classes_changed, found.clicks) == (1, 1)


def test_files_are_matched_by_the_names_of_images(tmp_path):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    export_coco({"a": boxes(ONE), "b": boxes(ONE, OTHER), "unseen": boxes(ONE)}, before)
    export_coco({"b": boxes(ONE), "a": boxes(ONE, OTHER)}, after, category="thing")
    found = evaluate_corrections(before, after)
    assert (found.images, found.prelabels, found.corrected) == (2, 3, 3)
    assert counts(found) == {"kept": 2, "added": 1, "deleted": 1}
    assert found.classes_changed == 2  # object became thing
    record = found.record(3.0)
    assert record["minutes"] == pytest.approx(found.clicks * 3 / 60)
    assert record["clicks_saved"] == found.saved


def test_images_without_prelabels_and_of_other_sizes_are_refused(tmp_path):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    export_coco({"a": boxes(ONE)}, before)
    export_coco({"a": boxes(ONE), "new": boxes(ONE)}, after)
    with pytest.raises(ValueError, match=r"after.json.* 1 of its images have no .*first: new"):
        evaluate_corrections(before, after)
    export_coco({"a": boxes(ONE, size=(80, 60))}, after)
    with pytest.raises(ValueError, match=r"a is \(80, 60\) here and \(60, 80\) in"):
        evaluate_corrections(before, after)
    after.write_text(json.dumps({"images": []}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"after\.json"):
        evaluate_corrections(before, after)


def test_no_images_save_nothing():
    assert Corrections().saved == 0
