"""Files for CVAT and labelme that somebody meant ill with, or that are cut off."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from trace_edges.formats.exchange import open_masks
from trace_edges.formats.labelled import Labelled
from trace_edges.formats.truth import GroundTruthError

MASK = '<mask label="a" rle="{}" left="{}" top="0" width="{}" height="2"></mask>'


def cvat(folder, shapes, head=""):
    text = f'{head}<annotations><image id="0" name="a.jpg" width="6" height="4">{shapes}</image>'
    (folder / "annotations.xml").write_text(text + "</annotations>", encoding="utf-8")
    return list(open_masks(folder).images)


def test_entities_of_xml_are_refused(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>'
    with pytest.raises(GroundTruthError, match="declares entities"):
        cvat(tmp_path, "&c;", bomb)
    with pytest.raises(GroundTruthError, match="declares entities"):
        cvat(tmp_path, "", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>')


@pytest.mark.parametrize(
    ("rle", "left", "width", "problem"),
    [
        ("1,5", 0, 3, None),
        ("1,6", 0, 3, "run lengths that are not those of 3 x 2 px"),
        ("-1,7", 0, 3, "run lengths that are not those of 3 x 2 px"),
        ("x", 0, 3, "has no run lengths"),
        ("0,99999999999", 0, 49999999999, "is 49999999999 x 2 px, and the image 6 x 4"),
        ("0,6", 99, 3, "has no pixel in the image"),
    ],
)
def test_run_lengths_of_cvat(tmp_path, rle, left, width, problem):
    sound = MASK.format("0,4", 0, 2)
    found = cvat(tmp_path, MASK.format(rle, left, width) + sound)
    assert len(found[-1].masks) == (2 if problem is None else 1)
    assert [problem in one.problem for one in found[:-1]] == ([] if problem is None else [True])


def test_a_shape_that_is_no_mask_is_said_and_left_out(tmp_path):
    warning, image = cvat(tmp_path, '<box label="a" xtl="0" ytl="0" xbr="1" ybr="1"></box>')
    assert (warning.severity, "1 shapes that are no masks" in warning.problem) == ("warning", True)
    assert len(image.masks) == 0


def test_an_xml_that_is_cut_off_is_refused_after_its_whole_images(tmp_path):
    cvat(tmp_path, MASK.format("0,4", 0, 2))
    path = tmp_path / "annotations.xml"
    text = path.read_text(encoding="utf-8").removesuffix("</annotations>")
    path.write_text(text, encoding="utf-8")
    images = iter(open_masks(path).images)
    assert isinstance(next(images), Labelled)
    with pytest.raises(GroundTruthError, match="is not XML"):
        next(images)


def labelme(folder, **changes):
    shape = {"label": "a", "points": [[1, 0], [2, 1]], "shape_type": "mask", "mask": png((2, 2))}
    content = {"shapes": [{**shape, **changes}], "imagePath": "a.jpg", "imageData": None}
    (folder / "a.json").write_text(
        json.dumps(content | {"imageHeight": 4, "imageWidth": 6}), encoding="utf-8"
    )
    return list(open_masks(folder).images)


def png(size):
    file = io.BytesIO()
    Image.new("L", size, 1).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_mask_of_labelme_is_read_into_its_box(tmp_path):
    (image,) = labelme(tmp_path)
    expected = np.zeros((4, 6), dtype=bool)
    expected[0:2, 1:3] = True
    np.testing.assert_array_equal(image.masks.masks[0], expected)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"mask": png((9000, 9000))}, r"has a mask of \(9000, 9000\) px in a box of \(2, 2\)"),
        ({"mask": "%%%"}, "has no PNG as its mask"),
        ({"mask": base64.b64encode(b"GIF89a").decode()}, "its mask"),
        ({"mask": None}, "has no PNG as its mask"),
        ({"points": [[0, 0], [10**9, 10**9]]}, "px in a box of"),
        ({"points": [[0, 0]]}, "no two corners"),
        ({"shape_type": "cuboid"}, 'is a "cuboid" and no mask'),
        ({"shape_type": "polygon", "points": [[0, 0], [1e9, 0], [0, 1]]}, "far out of the image"),
        ({"label": 3}, "has no label"),
        ({"score": 7}, r"should lie in \[0, 1\]"),
    ],
)
def test_shapes_of_labelme_that_are_not_sound(tmp_path, changes, problem):
    finding, image = labelme(tmp_path, **changes)

    assert re.search(problem, str(finding)), str(finding)
    assert len(image.masks) == 0


@pytest.mark.parametrize("kind", ["rectangle", "circle", "line", "linestrip", "point", "points"])
def test_other_shapes_of_labelme_are_left_out_like_boxes_of_cvat(tmp_path, kind):
    warning, image = labelme(tmp_path, shape_type=kind)
    assert (warning.severity, "1 shapes that are no masks" in warning.problem) == ("warning", True)
    assert len(image.masks) == 0


def test_parts_of_a_group_are_one_mask(tmp_path):
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    shapes = [
        {"label": "a", "group_id": 1, "points": [[x + n, y] for x, y in square],
         "shape_type": "polygon"}
        for n in (0, 3)
    ]  # fmt: skip
    content = {"shapes": shapes, "imagePath": "a.jpg", "imageHeight": 4, "imageWidth": 6}
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    (image,) = open_masks(tmp_path).images
    assert image.masks.areas.tolist() == [8]
