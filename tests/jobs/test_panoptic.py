"""Semantic maps in, panoptic maps out."""

import json

import numpy as np
from PIL import Image

from trace_edges.formats.classes import class_table
from trace_edges.formats.pixels import read_panoptic_ids
from trace_edges.jobs import panoptic_files

from .pair import PAIR, number_of_masks

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
