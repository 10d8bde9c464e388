import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.formats import check_ground_truth

SIZE = {"height": 4, "width": 6}
LEFT_HALF = {"size": [4, 6], "counts": [0, 12, 12]}


@pytest.fixture
def panoptic(tmp_path):
    """A panoptic data set without a flaw: segment 1 on the left, 2 on the right, one row void."""
    ids = np.zeros((4, 6, 3), dtype=np.uint8)
    ids[1:, :3, 0] = 1
    ids[1:, 3:, 0] = 2
    (tmp_path / "val").mkdir()
    Image.fromarray(ids).save(tmp_path / "val/a.png")
    segments = [
        {"id": 1, "category_id": 7, "iscrowd": 0, "area": 9, "bbox": [0, 1, 3, 3]},
        {"id": 2, "category_id": 8, "iscrowd": 0, "area": 9, "bbox": [3, 1, 3, 3]},
    ]
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 6}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
        "categories": [{"id": 7, "isthing": 1}, {"id": 8, "isthing": 0}],
    }


@pytest.fixture
def instances():
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 6}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "area": 12, "bbox": [0, 0, 3, 4],
             "segmentation": LEFT_HALF},
        ],
        "categories": [{"id": 7}],
    }  # fmt: skip


@pytest.fixture
def check(tmp_path):
    """A function that writes a JSON, checks it and returns what is said as short lines."""

    def run(content, kind="auto"):
        path = tmp_path / "val.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        for finding in check_ground_truth(path, kind):
            assert finding.mend
            yield f"{finding.severity} {finding.subject.rpartition('/')[2]}: {finding.problem}"

    return lambda *arguments: list(run(*arguments))


def test_sound_data_sets_give_no_finding(check, panoptic, instances):
    assert check(panoptic) == []
    pytest.importorskip("pycocotools")
    assert check(instances) == []


def test_ids_of_png_and_json_must_be_the_same(check, panoptic):
    segments = panoptic["annotations"][0]["segments_info"]
    segments[1]["id"] = 5
    assert check(panoptic) == [
        "error a.png: ids in the PNG but not in the JSON: 2",
        "error a.png: ids in the JSON but not in the PNG: 5",
    ]
    segments[1]["iscrowd"] = 1
    assert check(panoptic)[1:] == [
        "warning a.png: crowds in the JSON without a pixel in the PNG: 5"
    ]
    segments[1]["id"] = 0
    assert "error a.png: segments_info lists the id 0, which is void" in check(panoptic)


def test_numbers_of_segments(check, panoptic):
    segments = panoptic["annotations"][0]["segments_info"]
    segments[0]["area"] = 10
    segments[1] |= {"category_id": 9, "bbox": [3, 1, 6, 3]}
    segments.append(segments[1])
    segments.append({"category_id": 7})
    assert check(panoptic) == [
        "error a.png: segments_info[3] lacks id",
        "error a.png: ids that come twice in segments_info: 2",
        "error a.png: category ids that `categories` lacks: 9",
        "warning a.png: segment 1 has area 10 in the JSON, 9 drawn",
        "warning a.png: the box of segment 2 leaves the image",
    ]


def test_sizes_of_png_and_json(check, panoptic):
    panoptic["images"][0] |= {"height": 6, "width": 4}
    assert check(panoptic) == ["error a.png: is 6 x 4 px, and its image 4 x 6 px in the JSON"]


def test_a_broken_png_does_not_hide_the_next(check, panoptic, tmp_path):
    for number, name in enumerate("bcd", 2):
        panoptic["images"].append({"id": number, "file_name": f"{name}.jpg"} | SIZE)
        annotation = panoptic["annotations"][0] | {"image_id": number, "file_name": f"{name}.png"}
        panoptic["annotations"].append(annotation)
    Image.new("L", (6, 4)).save(tmp_path / "val/b.png")
    (tmp_path / "val/c.png").write_bytes(b"no picture")
    found = check(panoptic)
    assert found[0] == "error b.png: is an image of mode L"
    assert found[1].startswith("error c.png: is not a JPEG")
    assert found[2:] == ["error d.png: there is no such file"]


def test_lists_of_a_panoptic_json(check, panoptic, tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "val/unnamed.png")
    panoptic["images"] += [{"id": 2, "file_name": "b.jpg"} | SIZE, {"id": 3}]
    panoptic["annotations"] *= 2
    panoptic["annotations"].append({"image_id": 9, "file_name": "a.png", "segments_info": []})
    panoptic["categories"] += [{"id": 7, "isthing": 1}, {"id": 11}]
    found = check(panoptic)
    assert found[:8] == [
        "error val.json: images[2] (id 3) lacks file_name, height, width",
        "error val.json: categories[3] (id 11) lacks isthing",
        "error val.json: ids that come twice in `categories`: 7",
        "error val.json: `images` lacks images that annotations name: 9",
        "error val.json: images without annotation: 1, b.jpg first",
        "error val.json: images with two annotations: 1",
        "warning val: PNGs that are not in val.json: 1, unnamed.png first",
        "error a.png: ids in the PNG but not in the JSON: 1, 2",
    ]


def test_names_that_clash(check, instances):
    instances["images"].append({"id": 2, "file_name": "a.jpg"} | SIZE)
    assert "error val.json: images 1 and 2 are both called a.jpg" in check(instances)


def test_a_png_folder_that_is_not_there(check, panoptic, tmp_path):
    (tmp_path / "val/a.png").unlink()
    (found,) = check(panoptic)
    assert found.startswith("error val.json: its PNGs are neither in val/")


def test_numbers_of_instances(check, instances):
    pytest.importorskip("pycocotools")
    first = instances["annotations"][0]
    first |= {"category_id": 9, "area": 13, "bbox": [0, 0, 3, 6]}
    instances["annotations"].append(first | {"image_id": 5})
    instances["images"].append({"id": 2, "file_name": "b.jpg"} | SIZE)
    assert check(instances) == [
        "error val.json: `images` lacks images that annotations name: 5",
        "warning val.json: images without annotation: 1, b.jpg first",
        "error val.json: ids that two annotations have: 1",
        "error annotation 1 of a.jpg: `categories` lacks its category 9",
        "warning annotation 1 of a.jpg: its box leaves the image",
        "warning annotation 1 of a.jpg: has area 13, and its mask 12 px",
    ]


def test_masks_that_are_none_or_leave_the_image(check, instances):
    pytest.importorskip("pycocotools")
    box = [0, 0, 3, 4]
    drawn = [
        ([[1, 1, 2, 2]], box),
        ({"size": [6, 4], "counts": [24]}, box),
        ({"size": [4, 6], "counts": [24]}, box),
        ([[0, 0, 3, 0, 3, 40, 0, 40]], box),
        (LEFT_HALF, None),  # as if there were none, which is right as well
        (LEFT_HALF, [0, 0, 3]),
    ]
    instances["annotations"] = [
        {"id": n, "image_id": 1, "category_id": 7, "segmentation": mask, "bbox": bbox}
        for n, (mask, bbox) in enumerate(drawn)
    ]
    found = check(instances)
    assert found == [
        "error val.json: annotations[0] (id 0): segmentation[0] is a list of 4, and should be "
        "three points or more, [x, y, x, y, x, y, ...]",
        "error val.json: annotations[1] (id 1): its RLE is [6, 4] and its image [4, 6] (height, "
        "width)",
        "warning annotation 2 of a.jpg: its mask is empty",
        "warning annotation 3 of a.jpg: its polygon leaves the image",
        "error annotation 5 of a.jpg: its box is not [x, y, width, height]",
    ]


def test_the_area_of_a_polygon_may_differ_along_its_outline_only(check, instances):
    pytest.importorskip("pycocotools")
    instances["images"][0] |= {"height": 100, "width": 100}
    square = {"bbox": [10, 10, 50, 50], "segmentation": [[10, 10, 60, 10, 60, 60, 10, 60]]}
    instances["annotations"][0] |= square | {"area": 2400}
    assert check(instances) == []
    instances["annotations"][0]["area"] = 625  # drawn at twice the size
    assert check(instances) == ["warning annotation 1 of a.jpg: has area 625, and its mask 2500 px"]


def test_a_json_that_cannot_be_read_is_a_finding(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{", encoding="utf-8")
    for kind in ("auto", "coco-panoptic"):
        (finding,) = check_ground_truth(path, kind)
        assert finding.subject == str(path)
        assert finding.problem.startswith("is not valid JSON")


def test_values_of_an_unknown_form_are_a_finding(check, instances, panoptic):
    instances["images"][0]["file_name"] = None
    first, *_ = check(instances)
    assert (
        first == "error val.json: images[0] (id 1): file_name is null, and should be a valid string"
    )
    panoptic["annotations"][0]["segments_info"][0]["category_id"] = []
    first, *_ = check(panoptic)
    assert first == (
        "error a.png: segments_info[0] (id 1): category_id is a list of 0, and should be a whole "
        "number or text"
    )
