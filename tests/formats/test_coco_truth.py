import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.formats import open_ground_truth
from trace_edges.formats.coco_masks import checked_runs
from trace_edges.formats.coco_models import MASK
from trace_edges.formats.coco_truth import (
    load_json,
    read_instances,
    read_panoptic,
    read_panoptic_segments,
)
from trace_edges.formats.rle import decode_runs

SIZE = (4, 6)
LEFT_HALF = {"size": [4, 6], "counts": [0, 12, 12]}  # column by column: 3 columns of 4 pixels


def write_ids(path, ids):
    ids = np.asarray(ids)
    Image.fromarray(np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype("u1")).save(
        path
    )


def annotation(segmentation, number=1, **more):
    entry = {"id": number, "image_id": 1, "category_id": 1, "segmentation": segmentation} | more
    return MASK.validate_python(entry | {"place": 0})


def decoded(mask):
    return decode_runs(checked_runs(mask, SIZE, "one.json"), SIZE)


def rectangle(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def test_a_grey_png_is_refused_by_name(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match=r"grey\.png: is an image of mode L; a panoptic PNG is"):
        read_panoptic(tmp_path / "grey.png")


def test_zero_and_crowds_are_void(tmp_path):
    write_ids(tmp_path / "ids.png", [[0, 7, 70000]])
    (plain,) = read_panoptic_segments(tmp_path / "ids.png")
    (crowded,) = read_panoptic_segments(tmp_path / "ids.png", (70000,))
    assert plain.labels.tolist() == crowded.labels.tolist() == [[0, 7, 70000]]
    assert plain.void.tolist() == [[True, False, False]]
    assert crowded.void.tolist() == [[True, False, True]]


def test_polygons_and_both_kinds_of_rle_are_one_mask():
    mask = pytest.importorskip("pycocotools.mask")
    left_half = np.zeros((4, 6), dtype=np.uint8, order="F")
    left_half[:, :3] = 1
    compressed = mask.encode(left_half)
    as_text = compressed | {"counts": compressed["counts"].decode()}
    for drawn in (rectangle(0, 0, 3, 4), LEFT_HALF, compressed, as_text):
        np.testing.assert_array_equal(decoded(annotation(drawn)), left_half > 0)


def test_polygons_of_one_annotation_are_joined():
    pytest.importorskip("pycocotools")
    drawn = rectangle(0, 0, 1, 4) + rectangle(5, 0, 6, 4)
    assert decoded(annotation(drawn)).any(axis=0).tolist() == [1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_smaller_mask_lies_on_top_and_the_rest_is_background(order):
    pytest.importorskip("pycocotools")
    two = [annotation(rectangle(0, 0, 4, 4), 1), annotation(rectangle(1, 1, 3, 3), 2)]
    (segments,) = read_instances([two[n] for n in order], SIZE, "one.json")
    large, small = order.index(0) + 1, order.index(1) + 1
    expected = np.zeros((4, 6), dtype=int)
    expected[:, :4] = large
    expected[1:3, 1:3] = small
    np.testing.assert_array_equal(segments.labels, expected)
    assert not segments.void.any()


def test_a_crowd_is_void_but_where_an_object_lies():
    pytest.importorskip("pycocotools")
    large = annotation(rectangle(0, 0, 4, 4), 1)
    crowd = annotation({"size": [4, 6], "counts": [12, 8, 4]}, 2, iscrowd=1)  # columns 3 and 4
    (segments,) = read_instances([large, crowd], SIZE, "one.json")
    assert segments.labels[0].tolist() == [1, 1, 1, 1, 2, 0]
    assert segments.void[0].tolist() == [0, 0, 0, 0, 1, 0]


def test_an_image_without_object_is_one_segment():
    (segments,) = read_instances([], SIZE, "one.json")
    assert segments.labels.shape == (4, 6)
    assert not segments.labels.any()
    assert not segments.void.any()


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ({"size": [6, 4], "counts": [0, 12, 12]}, r"is \[6, 4\] and its image \[4, 6\]"),
        ({"size": [4, 6], "counts": [0, 12]}, "add up to 12"),
        ({"size": [4, 6], "counts": "o"}, "is damaged"),
    ],
)
def test_what_is_no_mask_is_refused_by_its_number(drawn, message):
    pytest.importorskip("pycocotools")
    name = r"one\.json: annotations\[0\] \(id 9\): "
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        decoded(annotation(drawn, 9))


def test_a_json_is_read_or_refused_by_name(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": []}), encoding="utf-8")
    assert load_json(path) == {"images": []}
    path.write_text('{"images": [', encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.json: is not valid JSON"):
        load_json(path)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.json: holds a list, as detections do"):
        load_json(path)


def test_one_png_is_of_one_annotation(tmp_path):
    write_ids(tmp_path / "cat.png", [[0, 1]])
    path = tmp_path / "truth.json"
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in (1, 2)]
    entry = {"file_name": "cat.png", "segments_info": []}
    entries = [entry | {"image_id": number} for number in (1, 2)]
    path.write_text(json.dumps({"images": images, "annotations": entries}), encoding="utf-8")
    with pytest.raises(ValueError, match="gives one PNG to several annotations; keep one"):
        open_ground_truth(path)
