"""Files of other tools in the place of COCO's JSON: named, with the mend."""

import gzip
import json

import numpy as np
import pytest

from trace_edges.formats import check_ground_truth, read_coco_masks
from trace_edges.formats.foreign import tool_of
from trace_edges.formats.ground_truth import open_ground_truth

POLYGON = [[1, 1], [5, 5], [1, 5]]
OTHERS = {
    "CVAT's XML": '<?xml version="1.0"?>\n<annotations><version>1.1</version></annotations>',
    "Pascal VOC's XML": "<annotation><folder>VOC2012</folder></annotation>",
    "but XML": '<?xml version="1.0"?><svg/>',
    "labels of YOLO": "0 0.1 0.1 0.5 0.1 0.5 0.5\n1 0.1 0.2 0.3 0.4 0.5 0.6\n",
    "JSON Lines": '{"image_id": 1, "bbox": []}\n{"image_id": 2, "bbox": []}\n',
    "CSV": "ImageId,EncodedPixels\na.jpg,1 2 3 4\n",
    "a web page": "<!DOCTYPE html><html>404</html>",
    "Git LFS": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "an archive": gzip.compress(b"{}"),
    "labelme": {"version": "5", "shapes": [{"points": POLYGON}], "imagePath": "a.jpg"},
    "VIA": {"a.jpg12": {"filename": "a.jpg", "size": 12, "regions": [{"shape_attributes": {}}]}},
    "of VIA": {"_via_settings": {}, "_via_img_metadata": {}},
    "Cityscapes": {"imgHeight": 8, "imgWidth": 8, "objects": [{"label": "car"}]},
    "Supervisely": {"description": "", "tags": [], "size": {"height": 8}, "objects": []},
    "GeoJSON": {"type": "FeatureCollection", "features": []},
    "Label Studio": [{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}],
    "JSON-MIN": [{"id": 1, "image": "/a.jpg", "label": [], "annotator": 1, "annotation_id": 3}],
    "BDD100K": [{"name": "a.jpg", "labels": []}],
}


def test_sams_own_json_is_taken_for_nobody_elses():
    mask = {"segmentation": {"size": [4, 4], "counts": [16]}, "predicted_iou": 0.9}
    assert tool_of({"image": {"image_id": 1, "file_name": "a.jpg"}, "annotations": [mask]}) is None
    assert tool_of([mask]) is None


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_tools_are_named(name, tmp_path):
    path, content = tmp_path / "it.json", OTHERS[name]
    content = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"it\.json: is .*{name}"):
        read_coco_masks(path)
    (finding,) = check_ground_truth(path)
    assert name in finding.problem


def coco(**entry):
    image = {"id": 1, "file_name": "a.jpg", "height": 4, "width": 4}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, **entry}
    return {"images": [image], "annotations": [annotation], "categories": [{"id": 1}]}


@pytest.mark.parametrize(
    ("content", "held"),
    [
        (coco(bbox=[1, 1, 2, 2]), "boxes"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 0.5}], "boxes"),
        (coco(bbox=[1, 1, 2, 2], keypoints=[1, 2, 2]), "keypoints"),
        (coco(caption="a cat"), "captions"),
        (coco(segments_info=[{"id": 1, "category_id": 1}]), "panoptic segments"),
    ],
)  # fmt: skip
def test_what_has_no_masks_is_said_once_and_not_for_every_entry(content, held, tmp_path):
    path = tmp_path / "it.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"it\.json: has {held} and no masks"):
        read_coco_masks(path)


def test_images_of_lvis_are_called_by_their_addresses(tmp_path):
    """LVIS gives images no file name, but an address; and what is not in them."""
    path = tmp_path / "it.json"
    content = coco(segmentation={"size": [4, 4], "counts": [4, 4, 8]})
    content["images"] = [
        {"id": 397133, "coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg",
         "height": 4, "width": 4, "neg_category_ids": [3], "not_exhaustive_category_ids": []}
    ]  # fmt: skip
    content["annotations"][0]["image_id"] = 397133
    path.write_text(json.dumps(content), encoding="utf-8")
    expected = np.zeros((4, 4), dtype=bool)
    expected[:, 1] = True
    ((name, masks),) = read_coco_masks(path).items()
    assert name == "000000397133"
    np.testing.assert_array_equal(masks.masks, [expected])
    ((name, reader),) = open_ground_truth(path).items()
    assert name == "000000397133"
    np.testing.assert_array_equal(reader()[0].labels > 0, expected)
