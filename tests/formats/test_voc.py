import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.formats.rle import decode_runs, mask_runs
from trace_edges.formats.voc import read_voc, voc_instances

OBJECTS = np.zeros((4, 6), dtype=np.uint8)
OBJECTS[1:3, 1:3] = 1
OBJECTS[:, 5] = 2
OBJECTS[:, 4] = 255
CLASSES = np.where(OBJECTS == 1, 15, np.where(OBJECTS == 2, 20, OBJECTS)).astype(np.uint8)


def write(path, indices):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(indices)
    picture.putpalette([channel for n in range(256) for channel in (n, 255 - n, n // 2)])
    picture.save(path)


@pytest.fixture
def root(tmp_path):
    for name in ("2007_000033", "2007_000042", "2007_000061"):
        write(tmp_path / "SegmentationObject" / f"{name}.png", OBJECTS)
        write(tmp_path / "SegmentationClass" / f"{name}.png", CLASSES)
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text(
        "2007_000061\n2007_000033\n", encoding="utf-8"
    )
    return tmp_path


def test_indices_are_instances_and_255_is_void(root):
    (segments,) = read_voc(root / "SegmentationObject/2007_000033.png")
    np.testing.assert_array_equal(segments.labels, OBJECTS)
    np.testing.assert_array_equal(segments.void, OBJECTS == 255)


def test_indices_that_have_become_colours_are_refused(tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: .*mode RGB; a VOC annotation is a palette PNG"):
        read_voc(tmp_path / "a.png")


def test_a_split_becomes_coco_annotations_of_one_category(root):
    pytest.importorskip("pycocotools")
    seen = []
    made = voc_instances(root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert made["categories"] == [{"id": 1, "name": "object"}]
    assert made["images"][0] == {
        "id": 1, "file_name": "2007_000061.jpg", "height": 4, "width": 6,
    }  # fmt: skip
    assert [image["file_name"] for image in made["images"]] == [
        "2007_000061.jpg",
        "2007_000033.jpg",
    ]
    numbers = [(a["id"], a["image_id"], a["category_id"]) for a in made["annotations"]]
    assert numbers == [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 2, 1)]
    square, column = made["annotations"][:2]
    assert (square["area"], square["bbox"], square["iscrowd"]) == (4, [1, 1, 2, 2], 0)
    assert (column["area"], column["bbox"], column["iscrowd"]) == (4, [5, 0, 1, 4], 0)
    read = json.loads(json.dumps(made))
    for annotation, instance in zip(read["annotations"][:2], (1, 2), strict=True):
        mask = decode_runs(mask_runs(annotation["segmentation"], (4, 6)), (4, 6))
        np.testing.assert_array_equal(mask, instance == OBJECTS)


def test_classes_come_from_the_other_picture(root):
    pytest.importorskip("pycocotools")
    made = voc_instances(root, class_agnostic=False)
    assert [a["category_id"] for a in made["annotations"]] == [15, 20, 15, 20]
    names = {category["id"]: category["name"] for category in made["categories"]}
    assert (len(names), names[1], names[15], names[20]) == (20, "aeroplane", "person", "tvmonitor")


def test_an_instance_is_of_the_class_most_of_its_pixels_have(root):
    pytest.importorskip("pycocotools")
    classes = CLASSES.copy()
    classes[1, 1], classes[1, 2] = 3, 255  # two pixels of 15 are left
    write(root / "SegmentationClass/2007_000061.png", classes)
    assert voc_instances(root, class_agnostic=False)["annotations"][0]["category_id"] == 15
    write(root / "SegmentationClass/2007_000061.png", np.where(classes == 20, 255, classes))
    with pytest.raises(ValueError, match=r"2007_000061\.png: instance 2 has no class"):
        voc_instances(root, class_agnostic=False)
    write(root / "SegmentationClass/2007_000061.png", classes.T.copy())
    with pytest.raises(ValueError, match=r"2007_000061\.png: is \(6, 4\), and .* is \(4, 6\)"):
        voc_instances(root, class_agnostic=False)


def test_splits_and_pictures_that_are_not_there(root):
    pytest.importorskip("pycocotools")
    with pytest.raises(ValueError, match=r"test\.txt: there is no such split; choose from val$"):
        voc_instances(root, "test")
    with pytest.raises(ValueError, match=r"val\.txt: .*; give the folder VOC2012 itself"):
        voc_instances(root / "SegmentationObject")
    (root / "ImageSets/Segmentation/val.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"val\.txt: is empty"):
        voc_instances(root)
    (root / "ImageSets/Segmentation/val.txt").write_text("2007_9\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"2007_9\.png: there is no such file"):
        voc_instances(root)
