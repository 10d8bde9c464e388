"""Files in, files of the same kind out: two squares that touch, and the edge between them."""

import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.edge_folder import EdgeFolder
from trace_edges.formats.classes import ClassTable, class_table, read_class_table, table_of_numbers
from trace_edges.formats.pixels import read_panoptic_ids
from trace_edges.jobs import panoptic_files, refine_coco, refine_labels
from trace_edges.results import Category

coder = pytest.importorskip("pycocotools.mask")

SIZE = (20, 30)
PAIR = np.zeros(SIZE, dtype=bool)
PAIR[4:16, 3:27] = True  # 12 x 24: columns 3 ... 14 and 15 ... 26, the edge in 14


def number_of_masks(outcome):
    """How many masks an image had and has."""
    return outcome.record.get("before", 0), outcome.record.get("after", 0)


@pytest.fixture
def edges(tmp_path):
    """Edges of a, b and 7, as `detect` writes them: 8 bits."""
    folder = tmp_path / "edges"
    folder.mkdir()
    line = np.zeros(SIZE, dtype=np.uint8)
    line[:, 14] = 255
    for name in ("a", "b", "000000000007"):
        Image.fromarray(line).save(folder / f"{name}.edges.png")
    Image.fromarray(line).save(folder / "a.overlay.png")
    return folder


def encoded(mask):
    rle = coder.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def annotation(number, image, mask=PAIR, **more):
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "segmentation": encoded(mask),
        **more,
    }


def image(number, name, swapped=False):
    height, width = SIZE[::-1] if swapped else SIZE
    return {"id": number, "file_name": f"{name}.jpg", "height": height, "width": width}


def written(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def is_split(masks):
    """The two squares, which fill the pair between them; who gets the edge is not said here."""
    off_edge = np.delete(np.stack(masks).astype(bool), 14, axis=2)
    squares = np.delete(PAIR, 14, axis=1)
    left, right = squares & (np.arange(29) < 14), squares & (np.arange(29) >= 14)
    found = {mask.tobytes() for mask in off_edge}
    return found == {left.tobytes(), right.tobytes()} and np.array_equal(
        np.sum(masks, axis=0), PAIR
    )


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


@pytest.fixture
def labels(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    return folder


def split_labels(found):
    assert np.unique(found).tolist() == [0, 1, 2]
    return is_split([found == 1, found == 2])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_pictures_stay_label_pictures(edges, labels, tmp_path, dtype):
    Image.fromarray((PAIR * 40).astype(dtype)).save(labels / "a.instances.png")
    (outcome,) = refine_labels(labels, edges, tmp_path / "out")
    assert (outcome.key, *number_of_masks(outcome)) == ("a", 1, 2)
    with Image.open(tmp_path / "out" / "a.png") as found:
        assert found.mode == "I;16"
        assert split_labels(np.asarray(found))
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {"a.png", "settings.json"}


@pytest.mark.parametrize("suffix", ["tif", "tiff", "TIF"])
def test_tiff_label_maps_become_label_pictures(edges, labels, tmp_path, suffix):
    Image.fromarray((PAIR * 400).astype(np.uint16)).save(labels / f"a.{suffix}", format="TIFF")
    (outcome,) = refine_labels(labels, edges, tmp_path / "out")
    assert (outcome.key, *number_of_masks(outcome)) == ("a", 1, 2)
    with Image.open(tmp_path / "out" / "a.png") as found:
        assert split_labels(np.asarray(found))


def test_arrays_stay_arrays_of_their_kind(edges, labels, tmp_path):
    np.save(labels / "a.npy", PAIR * np.int64(7))
    np.save(labels / "b.npy", np.stack([PAIR, np.zeros_like(PAIR)]))
    counts = {
        one.key: number_of_masks(one) for one in refine_labels(labels, edges, tmp_path / "out")
    }
    assert counts == {"a": (1, 2), "b": (1, 2)}
    assert split_labels(np.load(tmp_path / "out" / "a.npy"))
    stack = np.load(tmp_path / "out" / "b.npy")
    assert (stack.dtype, stack.shape) == (np.bool_, (2, *SIZE))
    assert is_split(stack)


def test_255_is_void_beside_labels_and_the_inside_of_a_drawn_mask(edges, labels, tmp_path):
    drawn = PAIR * np.uint8(255)
    Image.fromarray(drawn).save(labels / "a.png")
    drawn[4:16, 3:14] = 1  # up to the edge
    Image.fromarray(drawn).save(labels / "b.png")
    refine_labels(labels, edges, tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.png") as found:
        assert split_labels(np.asarray(found))
    with Image.open(tmp_path / "out" / "b.png") as found:
        np.testing.assert_array_equal(np.asarray(found), drawn == 1)


def test_bad_label_files_are_said_and_the_rest_is_done(edges, labels, tmp_path):
    Image.fromarray(PAIR * np.uint8(1)).save(labels / "a.png")
    (labels / "b.png").write_text("no picture", encoding="utf-8")
    np.save(labels / "000000000007.npy", PAIR[:5] * 1)
    outcomes = refine_labels(labels, edges, tmp_path / "out")
    messages = {one.key: one.message for one in outcomes}
    assert messages["a"] == ""
    assert "b.png" in messages["b"]
    assert "000000000007.npy: edges (20, 30) and masks (5, 30)" in messages["000000000007"]
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {"a.png", "settings.json"}
    record = json.loads((tmp_path / "out" / "settings.json").read_text(encoding="utf-8"))
    assert record["failed"].keys() == {"b", "000000000007"}


@pytest.mark.parametrize(
    "values", [np.zeros((2, 3), np.float32), np.zeros((2, 3, 4), np.int32), np.array(["x"], object)]
)
def test_arrays_of_another_kind_are_refused(edges, labels, tmp_path, values):
    np.save(labels / "a.npy", values)
    (outcome,) = refine_labels(labels, edges, tmp_path / "out")
    assert "a.npy" in outcome.message
    assert "save integers (h, w) or booleans (n, h, w)" in outcome.message


def test_masks_are_not_written_over_themselves(edges, labels):
    with pytest.raises(ValueError, match="which this command reads: give another place"):
        refine_labels(labels, edges, labels)


def test_edges_of_any_depth_are_read_in_0_to_1(tmp_path):
    Image.fromarray(np.full((4, 4), 65535, dtype=np.uint16)).save(tmp_path / "deep.png")
    np.save(tmp_path / "real.npy", np.full((4, 4), 0.5))
    folder = EdgeFolder(tmp_path)
    assert folder.edges("deep").max() == 1
    assert folder.edges("real").max() == 0.5


def test_a_smooth_map_that_is_edge_nearly_everywhere_is_refused(labels, tmp_path):
    """Cut by it, masks would come out as they went in."""
    edges = tmp_path / "soft"
    edges.mkdir()
    np.save(edges / "a.npy", np.full(SIZE, 0.96, dtype=np.float32))
    Image.fromarray(PAIR * np.uint8(1)).save(labels / "a.png")
    (outcome,) = refine_labels(labels, edges, tmp_path / "out")
    assert "100% of a is edge at threshold 0.95: give thin edges" in outcome.message


SEMANTIC = np.where(PAIR, 15, 0).astype(np.uint8)


def test_things_are_split_and_the_background_is_vocs_stuff(edges, tmp_path):
    (tmp_path / "sem").mkdir()
    drawn = SEMANTIC.copy()
    drawn[0] = 255
    Image.fromarray(drawn).save(tmp_path / "sem" / "a.png")
    out = tmp_path / "out"
    (outcome,) = panoptic_files(
        tmp_path / "sem", edges, out, class_table("voc"), semantic_pngs=True
    )
    assert (*number_of_masks(outcome), outcome.message) == (2, 3, "")
    content = json.loads((out / "panoptic.json").read_text(encoding="utf-8"))
    assert len(content["categories"]) == 21
    (entry,) = content["annotations"]
    segments = {one["id"]: one["category_id"] for one in entry["segments_info"]}
    assert sorted(segments.values()) == [0, 15, 15]
    ids = read_panoptic_ids(out / "panoptic" / "a.png")
    assert (ids[0] == 0).all()
    assert segments[int(ids[5, 4])] == segments[int(ids[5, 25])] == 15
    assert ids[5, 4] != ids[5, 25]
    with Image.open(out / "semantic" / "a.png") as places:
        # The list of VOC's classes begins with class 1; the background is its 21st.
        assert {int(v) for v in np.unique(np.asarray(places))} == {14, 20, 255}
    assert (out / "settings.json").exists()


@pytest.mark.parametrize(("strength", "count"), [(0.9, 1), (1, 2)])
def test_the_record_of_the_edges_says_from_which_strength_they_cut(tmp_path, strength, count):
    """Edges of a detector that reads the image alone, as `detect` records them."""
    folder, semantic, labels = (tmp_path / name for name in ("edges", "semantic", "labels"))
    for one in (folder, semantic, labels):
        one.mkdir()
    line = np.zeros(SIZE, dtype=np.float32)
    line[:, 14] = strength
    np.save(folder / "a.edges.npy", line)
    (folder / "a.json").write_text(
        '{"settings": {"method": "one-step", "backbone": null}}', encoding="utf-8"
    )
    for one in (semantic, labels):
        Image.fromarray(PAIR.astype(np.uint8)).save(one / "a.png")
    coco = {"images": [image(1, "a")], "annotations": [annotation(1, 1)],
            "categories": [{"id": 1, "name": "fg"}]}  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(coco), encoding="utf-8")
    (outcome,) = panoptic_files(semantic, folder, tmp_path / "out", table_of_numbers([1], [0]))
    assert outcome.record["after"] == count + 1
    (outcome,) = refine_labels(labels, folder, tmp_path / "refined")
    assert outcome.record["after"] == count
    (outcome,) = refine_coco(tmp_path / "a.json", folder, tmp_path / "refined.json")
    assert outcome.record["after"] == count
    for path in (tmp_path / "refined" / "settings.json", tmp_path / "refined.settings.json"):
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
        assert settings["propagation"]["threshold"] == 0.95


def test_cocos_classes_are_counted_without_gaps_and_get_its_ids(edges, tmp_path):
    (tmp_path / "sem").mkdir()
    np.save(tmp_path / "sem" / "000000000007.npy", np.where(PAIR, 80, 0))
    panoptic_files(tmp_path / "sem", edges, tmp_path / "out", class_table("coco"))
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text(encoding="utf-8"))
    (entry,) = content["annotations"]
    assert entry["image_id"] == 7
    assert [one["category_id"] for one in entry["segments_info"]] == [90, 90]
    names = {one["id"]: one["name"] for one in content["categories"]}
    assert (len(names), names[1], names[13], names[90]) == (80, "person", "stop sign", "toothbrush")


def test_maps_that_fail_are_left_out_and_said(edges, tmp_path):
    (tmp_path / "sem").mkdir()
    for name, number in (("a", 15), ("b", 77), ("c", 15)):
        Image.fromarray(PAIR * np.uint8(number)).save(tmp_path / "sem" / f"{name}.png")
    outcomes = panoptic_files(tmp_path / "sem", edges, tmp_path / "out", class_table("voc"))
    messages = {one.key: one.message for one in outcomes}
    assert messages["a"] == ""
    assert "b.png: has class 77, which the table of classes lacks" in messages["b"]
    assert "no edge map of c" in messages["c"]
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text(encoding="utf-8"))
    assert [entry["file_name"] for entry in content["annotations"]] == ["a.png"]


def test_tables_of_classes(tmp_path):
    entries = [{"id": 4, "name": "x", "isthing": 1}, {"id": 9, "name": "y", "isthing": 0}]
    listed = written(tmp_path / "list.json", entries)
    inside = written(tmp_path / "inside.json", {"categories": entries})
    assert read_class_table(listed) == read_class_table(inside)
    assert read_class_table(listed).by_number == {4: 4, 9: 9}
    contiguous = read_class_table(listed, contiguous=True)
    assert contiguous.by_number == {1: 4, 2: 9}
    assert (contiguous.things, contiguous.stuff) == ({4}, {9})
    numbers = table_of_numbers([3], [0])
    assert (numbers.things, numbers.stuff) == ({3}, {0})


def test_tables_that_say_two_things_are_refused(tmp_path):
    with pytest.raises(ValueError, match="class 2 is listed as a thing and as stuff"):
        table_of_numbers([1, 2], [2])
    with pytest.raises(ValueError, match=r"other\.json: categories.0. .id 1. lacks isthing"):
        read_class_table(written(tmp_path / "other.json", [{"id": 1, "name": "x"}]))
    with pytest.raises(ValueError, match="an id of its own"):
        ClassTable((Category(1, "x", True), Category(1, "y", True)), {1: 1})
    with pytest.raises(ValueError, match="255"):
        table_of_numbers([255])
