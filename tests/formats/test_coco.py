import json

import numpy as np
import pytest

from trace_edges.formats.coco import CocoMasks, export_coco, export_coco_results, read_coco_masks
from trace_edges.formats.exchange import export
from trace_edges.formats.labels import export_labels
from trace_edges.formats.yolo import export_yolo
from trace_edges.results import InstanceMasks

pytest.importorskip("pycocotools")


def same(one, other):
    np.testing.assert_array_equal(one.masks, other.masks)
    np.testing.assert_array_equal(one.scores, other.scores)


def square(top, left, height, width, size=3):
    mask = np.zeros((1, height, width), dtype=bool)
    mask[0, top : top + size, left : left + size] = True
    return InstanceMasks(mask, np.ones(1, dtype=np.float32))


def test_cocos_own_library_reads_the_masks_back(tmp_path, pictures):
    from pycocotools.coco import COCO

    path = tmp_path / "instances.json"
    export_coco(pictures, path, file_names={"cat": "sub/cat.png"}, category="thing")
    coco = COCO(path)
    assert coco.imgs == {
        1: {"id": 1, "file_name": "blank.jpg", "height": 10, "width": 10},
        2: {"id": 2, "file_name": "sub/cat.png", "height": 20, "width": 30},
    }
    assert [(one["id"], one["name"]) for one in coco.loadCats(coco.getCatIds())] == [(1, "thing")]
    assert coco.getAnnIds(imgIds=1) == []
    entries = coco.loadAnns(coco.getAnnIds(imgIds=2))
    masks = np.stack([coco.annToMask(entry) for entry in entries])
    np.testing.assert_array_equal(masks, pictures["cat"].masks)
    # The ring is 10 x 10 less 3 x 4; the parts are 4 x 4 and 10 x 8.
    assert [entry["area"] for entry in entries] == [88, 96, 63, 1]
    assert [entry["bbox"] for entry in entries] == [
        [3, 2, 10, 10], [20, 0, 10, 20], [9, 9, 9, 7], [1, 18, 1, 1]
    ]  # fmt: skip
    assert {entry["iscrowd"] for entry in entries} == {0}
    assert [entry["score"] for entry in entries] == [0.9, 0.25, 0.125, 1.0]


def test_results_score_one_against_their_own_annotations(tmp_path, pictures):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    export_coco(pictures, tmp_path / "truth.json")
    export_coco_results(pictures, tmp_path / "results.json", image_ids={"cat": 2, "blank": 1})
    truth = COCO(tmp_path / "truth.json")
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_what_is_written_is_read(tmp_path, pictures):
    export_coco(pictures, tmp_path / "a.json")
    read = read_coco_masks(tmp_path / "a.json")
    assert read.keys() == pictures.keys()
    for name in pictures:
        same(read[name], pictures[name])


def test_classes_of_masks_are_written_and_read(tmp_path, pictures):
    named = {"cat": pictures["cat"].named(["dog", "object", "cat", "dog"])}
    export_coco(named, tmp_path / "a.json")
    assert read_coco_masks(tmp_path / "a.json")["cat"].classes == named["cat"].classes
    export_coco_results(named, tmp_path / "r.json")
    listed = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    names = {one["id"]: one["name"] for one in listed["categories"]}
    results = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [names[one["category_id"]] for one in results] == ["dog", "object", "cat", "dog"]


def test_results_need_the_names_of_their_images(tmp_path, pictures):
    export_coco(pictures, tmp_path / "truth.json")
    export_coco_results(pictures, tmp_path / "results.json")
    unnamed = read_coco_masks(tmp_path / "results.json")
    assert unnamed.keys() == {"2"}
    same(unnamed["2"], pictures["cat"])
    named = read_coco_masks(tmp_path / "results.json", images=tmp_path / "truth.json")
    assert named.keys() == pictures.keys()
    same(named["cat"], pictures["cat"])


def test_equal_masks_give_equal_bytes(tmp_path, pictures):
    export_coco(pictures, tmp_path / "a.json")
    export_coco(dict(reversed(pictures.items())), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("names", "ids"),
    [(("000000000139", "25"), [25, 139]), (("b", "a", "7"), [1, 2, 3]), (("07", "7"), [1, 2])],
)
def test_numbers_are_those_of_the_names(tmp_path, names, ids):
    export_coco({name: square(0, 0, 5, 5) for name in names}, tmp_path / "a.json")
    images = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["images"]
    assert sorted(image["id"] for image in images) == ids
    if len(names) == 3:
        assert [image["file_name"] for image in images] == ["7.jpg", "a.jpg", "b.jpg"]


@pytest.mark.parametrize("name", ["", "..", "a/../b", "/a", "a\\b"])
def test_a_name_must_not_lead_elsewhere(tmp_path, name):
    with pytest.raises(ValueError, match="leads out of the folder"):
        export_coco({name: square(0, 0, 5, 5)}, tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_an_image_may_have_the_id_0(tmp_path):
    export_coco({name: square(0, 0, 5, 5) for name in ("0", "1")}, tmp_path / "a.json")
    export(tmp_path / "a.json", "coco", tmp_path / "b.json")
    for name in ("a.json", "b.json"):
        content = json.loads((tmp_path / name).read_text(encoding="utf-8"))
        assert [image["id"] for image in content["images"]] == [0, 1]
        assert [one["image_id"] for one in content["annotations"]] == [0, 1]
        assert [one["id"] for one in content["annotations"]] == [1, 2]


def test_ids_must_be_complete_and_differ(tmp_path):
    masks = {name: square(0, 0, 5, 5) for name in "ab"}
    with pytest.raises(ValueError, match="image b has no id"):
        export_coco(masks, tmp_path / "a.json", image_ids={"a": 1})
    with pytest.raises(ValueError, match="images a and b have the id 1"):
        export_coco(masks, tmp_path / "a.json", image_ids={"a": 1, "b": 1})


# Files of others. Of 4 x 6 px (height, width), RLE by hand: columns of 4, so 9 px of background,
# 2 of mask, 13 of background is rows 1 and 2 of column 2.
RLE = {"size": [4, 6], "counts": [9, 2, 13]}
DRAWN = np.zeros((4, 6), dtype=bool)
DRAWN[1:3, 2] = True


def read(tmp_path, content, **more):
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    return read_coco_masks(tmp_path / "a.json", **more)


def image(id=1, file_name="x/one.jpg", height=4, width=6):
    return {"id": id, "file_name": file_name, "height": height, "width": width}


def annotation(segmentation=RLE, image_id=1, **more):
    return {"image_id": image_id, "segmentation": segmentation, **more}


@pytest.mark.parametrize("score", [{}, {"score": None}, {"score": 1}])
def test_masks_without_scores_have_the_score_one(tmp_path, score):
    masks = read(tmp_path, {"images": [image()], "annotations": [annotation(**score)]})
    np.testing.assert_array_equal(masks["one"].masks, DRAWN[None])
    assert masks["one"].scores.tolist() == [1]


def test_swapped_width_and_height_are_turned_where_masks_tell(tmp_path):
    images = [image(height=6, width=4), image(2, "empty.jpg", height=8, width=5)]
    masks = read(tmp_path, {"images": images, "annotations": [annotation()]})
    np.testing.assert_array_equal(masks["one"].masks, DRAWN[None])
    # One image may be a slip; where those of several are all swapped, the file swaps.
    assert masks["empty"].shape == (8, 5)
    images.append(image(3, "two.jpg", height=6, width=4))
    masks = read(
        tmp_path, {"images": images, "annotations": [annotation(), annotation(image_id=3)]}
    )
    assert (masks["empty"].shape, masks["two"].shape) == ((5, 8), (4, 6))
    images[2] = image(3, "two.jpg")
    masks = read(
        tmp_path, {"images": images, "annotations": [annotation(), annotation(image_id=3)]}
    )
    assert (masks["empty"].shape, masks["two"].shape) == ((8, 5), (4, 6))


def test_polygons_are_read(tmp_path):
    corners = [2, 1, 3, 1, 3, 3, 2, 3]  # x 2 ... 3, y 1 ... 3: DRAWN
    masks = read(tmp_path, {"images": [image()], "annotations": [annotation([corners])]})
    np.testing.assert_array_equal(masks["one"].masks, DRAWN[None])


def test_crowds_and_empty_masks_are_no_instances(tmp_path):
    nothing = {"size": [4, 6], "counts": [24]}
    entries = [annotation(nothing), annotation(iscrowd=1), annotation(score=0.5)]
    masks = read(tmp_path, {"images": [image()], "annotations": entries})
    assert masks["one"].scores.tolist() == [0.5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"images": []}, "holds no masks"),
        ([{"image_id": 1}], r"annotations.0. lacks segmentation"),
        ([annotation(score=1.5)], "score is 1.5, and should lie in .0, 1.: scale"),
        ([annotation(score=float("nan"))], "score is NaN, and should be a finite number"),
        ([annotation({"size": [4, 6]})], "lacks segmentation.counts"),
        ([annotation({"size": [4, 6], "counts": [9, 2]})], "add up to 11 px, not 4 x 6"),
        ([annotation({"size": [4, 6], "counts": "zzz"})], r"annotations.0.: its RLE is damaged"),
        (
            [annotation(), annotation({"size": [6, 4], "counts": [24]})],
            r"annotations.1.: its RLE is .6, 4. and its image .4, 6.",
        ),
        ([annotation([[0, 0, 1, 0, 1, 1]])], r"annotations.0. is a polygon and its image is not"),
        (
            {"images": [image(height=5)], "annotations": [annotation()]},
            "its RLE is .4, 6. and its image .5, 6.",
        ),
        ({"images": [image(), image()], "annotations": []}, "gives one id to several"),
        ({"images": [image(), image(2, "x/one.jpg")], "annotations": []}, "both called x/one.jpg"),
        ({"images": [{"id": 1}], "annotations": []}, r"images.0. .id 1. lacks height or width"),
        (
            {"images": [image()], "annotations": [annotation(image_id=9)]},
            "9, which is not listed; list it",
        ),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, content, words):
    with pytest.raises(ValueError, match=words) as caught:
        read(tmp_path, content)
    assert "a.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_masks_are_replaced_in_the_form_that_was_given(tmp_path):
    crowd = annotation(iscrowd=1, image_id=2, id=7)
    images = [image(height=6, width=4), image(2, "two.jpg", height=6, width=4)]
    content = {"images": images, "annotations": [annotation(category_id=3), crowd], "info": "x"}
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    masks = CocoMasks(tmp_path / "a.json")
    assert (masks.ids, masks.scored) == ({"one": 1, "two": 2}, False)
    by_category, findings = masks.read_by_category("one")
    assert (list(by_category), findings) == ([3], [])
    np.testing.assert_array_equal(by_category[3].masks, DRAWN[None])
    assert len(masks.read("two")[0]) == 0
    other = annotation(image_id=2, score=0.5)
    assert masks.replaced({"two": [other]}) == {
        "info": "x",
        "images": [image(2, "two.jpg")],  # of the size that the masks have
        "annotations": [{**annotation(image_id=2), "id": 1}, {**crowd, "id": 2}],
    }
    (tmp_path / "a.json").write_text(json.dumps([annotation(score=0.25)]), encoding="utf-8")
    result = {**annotation(score=0.5), "category_id": 1, "bbox": [2, 1, 1, 2]}
    assert CocoMasks(tmp_path / "a.json").replaced({"1": [{**result, "area": 2}]}) == [result]


@pytest.mark.parametrize("name", ["a.jpg", "a.PNG", "0007.jpeg"])
def test_names_with_a_suffix_are_those_of_files(name, tmp_path):
    masks = {name: InstanceMasks(np.ones((1, 4, 4), dtype=bool))}
    export_coco(masks, tmp_path / "out.json")
    (image,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["images"]
    assert image["file_name"] == name
    assert image["id"] == (7 if name.startswith("0007") else 1)
    export_labels(masks, tmp_path)
    export_yolo(masks, tmp_path)
    stem = name.rpartition(".")[0]
    assert (tmp_path / f"{stem}.png").exists()
    assert (tmp_path / "labels" / f"{stem}.txt").exists()
