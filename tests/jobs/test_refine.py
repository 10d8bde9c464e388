"""Masks of a COCO JSON cut at edges: a file in, a file of the same kind out."""

import json

import numpy as np
import pytest

from trace_edges.jobs import refine_coco

from .pair import SIZE, annotation, image, is_split, number_of_masks, written

coder = pytest.importorskip("pycocotools.mask")


def decoded(entries):
    return [coder.decode(entry["segmentation"]) for entry in entries]


def test_annotations_stay_annotations_without_scores_and_with_sizes_put_right(edges, tmp_path):
    crowd = annotation(9, 5, np.ones(SIZE, dtype=bool), iscrowd=1)
    given = {
        "info": {"year": 2026},
        "images": [image(5, "a", swapped=True), image(6, "b", swapped=True)],
        "annotations": [annotation(3, 5), crowd, annotation(10, 6, np.zeros(SIZE))],
        "categories": [{"id": 1, "name": "fg"}],
    }
    out = tmp_path / "new" / "out.json"
    outcomes = refine_coco(written(tmp_path / "masks.json", given), edges, out)
    assert [(one.key, *number_of_masks(one), one.message) for one in outcomes] == [
        ("a", 1, 2, ""),
        ("b", 0, 0, ""),
    ]
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["info"] == given["info"]
    assert content["categories"] == given["categories"]
    assert content["images"] == [image(5, "a"), image(6, "b")]
    *found, group = content["annotations"]
    assert is_split(decoded(found))
    assert [entry["id"] for entry in (*found, group)] == [1, 2, 3]
    assert {entry["image_id"] for entry in found} == {5}
    assert not any("score" in entry for entry in found)
    assert (group["iscrowd"], group["segmentation"]) == (1, crowd["segmentation"])
    record = json.loads((tmp_path / "new" / "out.settings.json").read_text(encoding="utf-8"))
    assert record["settings"]["propagation"]["threshold"] == 0.95
    assert (record["before"], record["after"], record["failed"]) == (1, 2, {})


def test_a_results_list_stays_one_with_its_scores_and_categories(edges, tmp_path):
    results = [annotation(1, 7, score=0.25), annotation(2, 7, score=0.75) | {"category_id": 3}]
    out = tmp_path / "out.json"
    (outcome,) = refine_coco(written(tmp_path / "results.json", results), edges, out)
    # Image 7 is 000000000007. The two masks are equal, but of two categories: both stay.
    assert (outcome.message, *number_of_masks(outcome)) == ("", 2, 4)
    content = json.loads(out.read_text(encoding="utf-8"))
    assert [entry["category_id"] for entry in content] == [1, 1, 3, 3]
    assert [entry["score"] for entry in content] == [0.25, 0.25, 0.75, 0.75]
    assert is_split(decoded(content[:2]))
    assert content[0].keys() == {"image_id", "category_id", "segmentation", "bbox", "score"}


def test_what_fails_is_left_out_and_said_and_the_rest_is_done(edges, tmp_path):
    broken, unread = annotation(2, 2), annotation(4, 2, score="0.9")
    broken["segmentation"]["counts"] = "04"
    given = {
        "images": [image(1, "a"), image(2, "b"), image(3, "c"), image(4, 7) | {"file_name": 7}],
        "annotations": [annotation(1, 1), broken, annotation(3, 3), unread, annotation(5, 2)],
    }
    out = tmp_path / "out.json"
    outcomes = refine_coco(written(tmp_path / "masks.json", given), edges, out)
    assert [(one.key, one.state) for one in outcomes[:3]] == [
        ("a", "done"), ("b", "done"), ("c", "failed"),
    ]  # fmt: skip
    assert "no edge map of c" in outcomes[2].message
    assert [one.message.partition(";")[0] for one in outcomes[3:]] == [
        f"{tmp_path}/masks.json: images[3] (id 4): file_name is 7, and should be a valid string",
        f'{tmp_path}/masks.json: annotations[3] (id 4): score is "0.9", and should be a finite '
        "number",
        f"{tmp_path}/masks.json: annotations[1] (id 2): its counts add up to 4 px, not 20 x 30",
    ]
    content = json.loads(out.read_text(encoding="utf-8"))
    assert [entry["id"] for entry in content["images"]] == [1, 2]
    assert [entry["image_id"] for entry in content["annotations"]] == [1, 1, 2, 2]


@pytest.mark.parametrize("number", ["1", 1.0, "cell"])
def test_ids_are_written_as_they_were_read(edges, tmp_path, number):
    """Whatever they are, those of annotations still meet those of images and categories."""
    given = {
        "images": [{**image(5, "a"), "id": "5"}],
        "annotations": [annotation(3, 5) | {"category_id": number}],
        "categories": [{"id": number, "name": "x"}],
    }
    out = tmp_path / "out.json"
    (outcome,) = refine_coco(written(tmp_path / "masks.json", given), edges, out)
    assert outcome.message == ""
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["categories"] == given["categories"]
    assert [entry["category_id"] for entry in content["annotations"]] == [number, number]
    assert {entry["image_id"] for entry in content["annotations"]} == {"5"}
    assert [entry["id"] for entry in content["images"]] == ["5"]


@pytest.mark.parametrize("form", ["a list for an image", "SA-1B"])
def test_sams_own_json_is_read(edges, tmp_path, form):
    """What SAM writes for one image: its scores are `predicted_iou`, at times above 1."""
    rle = annotation(1, 1)["segmentation"]
    masks = [
        {"id": n, "segmentation": rle, "area": 288, "bbox": [3, 4, 24, 12], "predicted_iou": score,
         "stability_score": 0.97, "point_coords": [[9, 9]]}
        for n, score in enumerate([0.75, 1.01])
    ]  # fmt: skip
    file = {"image_id": 11, "width": 30, "height": 20, "file_name": "a.jpg"}
    content = masks if form != "SA-1B" else {"image": file, "annotations": masks}
    out = tmp_path / "out.json"
    (outcome,) = refine_coco(written(tmp_path / "a.json", content), edges, out)
    assert (outcome.key, outcome.message, *number_of_masks(outcome)) == ("a", "", 2, 2)
    refined = json.loads(out.read_text(encoding="utf-8"))
    assert is_split(decoded(refined["annotations"]))
    assert [entry["score"] for entry in refined["annotations"]] == [1, 1]
    assert [one["height"] for one in refined["images"]] == [20]
    assert refined["categories"][0]["id"] == refined["annotations"][0]["category_id"] == 1


def test_where_all_images_fail_nothing_is_written(edges, tmp_path):
    given = {"images": [image(1, "c")], "annotations": [annotation(1, 1)]}
    out = tmp_path / "out.json"
    (outcome,) = refine_coco(written(tmp_path / "masks.json", given), edges, out)
    assert outcome.message
    assert not out.exists()


def test_the_given_file_is_not_overwritten(edges, tmp_path):
    masks = written(tmp_path / "masks.json", [])
    with pytest.raises(ValueError, match=r"masks\.json is an input of this command"):
        refine_coco(masks, edges, tmp_path / "edges" / ".." / "masks.json")
