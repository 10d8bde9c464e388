import json

import numpy as np
import pytest

from trace_edges.formats.coco import export_coco, export_coco_results
from trace_edges.formats.label_studio import export_label_studio
from trace_edges.formats.labels import export_labels
from trace_edges.formats.listing import by_name
from trace_edges.formats.panoptic import export_panoptic
from trace_edges.formats.yolo import export_yolo
from trace_edges.metrics.panoptic import Category
from trace_edges.results import PanopticMap, Segment

GRASS = Category(90, "grass", False)


def write_panoptic(maps, path):
    export_panoptic(maps, path, [GRASS])


WRITERS = {
    "coco.json": export_coco,
    "results.json": export_coco_results,
    "panoptic.json": write_panoptic,
    "labels": export_labels,
    "yolo": export_yolo,
}


def written(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def results(pictures):
    """Two results of each kind."""
    maps = [PanopticMap(np.full((h, w), 1, np.int32), (Segment(1, GRASS.id, False),))
            for h, w in ((2, 3), (4, 5))]  # fmt: skip
    return {"panoptic.json": maps}, list(pictures.values())[::-1]


@pytest.mark.parametrize("name", list(WRITERS))
def test_every_writer_takes_one_result_or_several(tmp_path, results, name):
    maps, masks = results
    first, second = maps.get(name, masks)
    for case, given in {
        "one": first,
        "one of a list": [first],
        "one by name": {"000001": first},
        "two": (each for each in (first, second)),
        "two by name": {"000001": first, "000002": second},
    }.items():
        WRITERS[name](given, tmp_path / case / name)
    assert written(tmp_path / "one")
    assert written(tmp_path / "one") == written(tmp_path / "one by name")
    assert written(tmp_path / "one of a list") == written(tmp_path / "one by name")
    assert written(tmp_path / "two") == written(tmp_path / "two by name")
    assert written(tmp_path / "two") != written(tmp_path / "one")


def test_label_studio_finds_images_by_name_or_in_order(tmp_path, pictures):
    cat, blank = pictures.values()
    export_label_studio(cat, tmp_path / "one.json", images="cat.jpg")
    export_label_studio({"000001": cat}, tmp_path / "named.json", images={"000001": "cat.jpg"})
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "named.json").read_bytes()
    export_label_studio([cat, blank], tmp_path / "two.json", images=["cat.jpg", "blank.jpg"])
    tasks = json.loads((tmp_path / "two.json").read_text(encoding="utf-8"))
    assert [task["data"]["image"] for task in tasks] == ["cat.jpg", "blank.jpg"]
    assert [len(task["predictions"][0]["result"]) for task in tasks] == [4, 0]


def test_results_without_names_are_numbered_in_order():
    names = list(by_name([str(number) for number in range(1, 12)]))
    assert names == sorted(names)
    assert (names[0], names[-1]) == ("000001", "000011")
    mapping = {"b": 1, "a": 2}
    assert by_name(mapping) is mapping


def test_an_array_is_no_result(tmp_path, pictures):
    with pytest.raises(TypeError, match="an array is not a result: give InstanceMasks"):
        export_coco(pictures["cat"].masks, tmp_path / "a.json")
    assert not list(tmp_path.iterdir())
