"""Masks of a folder of label maps cut at edges, and from which strength edges cut."""

import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.formats.classes import table_of_numbers
from trace_edges.jobs import panoptic_files, refine_coco, refine_labels

from .pair import PAIR, SIZE, annotation, image, is_split, number_of_masks

pytest.importorskip("pycocotools.mask")


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


def test_a_smooth_map_that_is_edge_nearly_everywhere_is_refused(labels, tmp_path):
    """Cut by it, masks would come out as they went in."""
    edges = tmp_path / "soft"
    edges.mkdir()
    np.save(edges / "a.npy", np.full(SIZE, 0.96, dtype=np.float32))
    Image.fromarray(PAIR * np.uint8(1)).save(labels / "a.png")
    (outcome,) = refine_labels(labels, edges, tmp_path / "out")
    assert "100% of a is edge at threshold 0.95: give thin edges" in outcome.message


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
