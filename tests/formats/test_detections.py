"""Results as objects of other libraries."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from trace_edges.extras import MissingExtraError
from trace_edges.formats.coco import export_coco
from trace_edges.formats.detections import to_fiftyone, to_supervision
from trace_edges.results import InstanceMasks


def test_supervision_holds_the_masks(pictures):
    sv = pytest.importorskip("supervision")
    found = to_supervision(pictures["cat"], category="cell")
    np.testing.assert_array_equal(found.mask, pictures["cat"].masks)
    np.testing.assert_array_equal(found.confidence, pictures["cat"].scores)
    assert found.class_id.tolist() == [0] * 4
    assert found.data["class_name"].tolist() == ["cell"] * 4
    boxes = sv.mask_to_xyxy(pictures["cat"].masks, coordinate_convention="exclusive")
    np.testing.assert_array_equal(found.xyxy, boxes)
    assert found[found.confidence > 0.5].mask.sum() == 88 + 1
    assert len(to_supervision(pictures["blank"])) == 0


@pytest.mark.parametrize("convert", [to_supervision, to_fiftyone])
def test_masks_whose_class_is_known_keep_it(convert, monkeypatch, pictures):
    plain = SimpleNamespace(Detections=SimpleNamespace, Detection=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "supervision", plain)
    monkeypatch.setitem(sys.modules, "fiftyone", plain)
    found = convert(pictures["cat"].named(["dog", "object", "cat", "dog"]), category="cell")
    if convert is to_supervision:
        assert found.data["class_name"].tolist() == ["dog", "cell", "cat", "dog"]
        assert found.class_id.tolist() == [1, 0, 2, 1]
    else:
        assert [one.label for one in found.detections] == ["dog", "cell", "cat", "dog"]


def test_supervision_reads_cocos_file_back(tmp_path, pictures):
    sv = pytest.importorskip("supervision")
    pytest.importorskip("pycocotools")
    from PIL import Image

    export_coco(pictures, tmp_path / "a.json")
    for name, instances in pictures.items():
        Image.new("RGB", instances.shape[::-1]).save(tmp_path / f"{name}.jpg")
    dataset = sv.DetectionDataset.from_coco(str(tmp_path), str(tmp_path / "a.json"), True)
    read = dataset.annotations[str(tmp_path / "cat.jpg")]
    np.testing.assert_array_equal(read.mask, pictures["cat"].masks)


@pytest.fixture
def fiftyone(monkeypatch):
    monkeypatch.setenv("FIFTYONE_DISABLE_SERVICES", "1")  # labels need no database
    return pytest.importorskip("fiftyone")


def test_fiftyone_holds_the_masks_within_their_boxes(fiftyone, pictures):
    found = to_fiftyone(pictures["cat"], category="cell").detections
    assert {one.label for one in found} == {"cell"}
    assert [one.confidence for one in found] == [0.9, 0.25, 0.125, 1.0]
    assert found[0].bounding_box == pytest.approx([3 / 30, 2 / 20, 10 / 30, 10 / 20])
    for one, mask in zip(found, pictures["cat"].masks, strict=True):
        segmentation = one.to_segmentation(frame_size=(30, 20), target=255)
        np.testing.assert_array_equal(segmentation.mask > 0, mask)
    assert to_fiftyone(pictures["blank"]).detections == []


def test_fiftyone_finds_every_pixel_whatever_its_shares_round_to(fiftyone):
    masks = np.eye(97, dtype=bool)[:, None]  # (97, 1, 97): each column on its own
    found = to_fiftyone(InstanceMasks(masks, np.ones(97, dtype=np.float32))).detections
    read = [one.to_segmentation(frame_size=(97, 1), target=255).mask > 0 for one in found]
    np.testing.assert_array_equal(read, masks)


def test_fiftyone_reads_cocos_file_back(fiftyone, tmp_path, pictures):
    from fiftyone.utils.coco import load_coco_detection_annotations

    export_coco(pictures, tmp_path / "a.json")
    _, classes, _, images, annotations = load_coco_detection_annotations(str(tmp_path / "a.json"))
    assert images[2]["file_name"] == "cat.jpg"
    assert annotations.keys() == {2}
    for entry, mask in zip(annotations[2], pictures["cat"].masks, strict=True):
        one = entry.to_detection((30, 20), classes_map=classes, load_segmentation=True)
        assert one.label == "object"
        segmentation = one.to_segmentation(frame_size=(30, 20), target=255)
        np.testing.assert_array_equal(segmentation.mask > 0, mask)


def test_fiftyones_importer_gives_the_samples_of_cocos_file(fiftyone, tmp_path, pictures):
    """The one behind `Dataset.from_dir`, which would put them into a database."""
    from fiftyone.utils.coco import COCODetectionDatasetImporter
    from PIL import Image

    (tmp_path / "data").mkdir()
    for name, instances in pictures.items():
        Image.new("RGB", instances.shape[::-1]).save(tmp_path / "data" / f"{name}.jpg")
    export_coco(pictures, tmp_path / "a.json")
    importer = COCODetectionDatasetImporter(
        data_path=str(tmp_path / "data"), labels_path=str(tmp_path / "a.json"),
        label_types="segmentations", extra_attrs=True,
    )  # fmt: skip
    with importer:
        samples = {Path(path).stem: (size, label) for path, size, label in importer}
    assert samples.keys() == {"cat", "blank"}
    size, label = samples["cat"]
    assert (size.width, size.height) == (30, 20)
    found = getattr(label, "detections", None) or label["segmentations"].detections
    assert [one.confidence for one in found] == [0.9, 0.25, 0.125, 1.0]
    for one, mask in zip(found, pictures["cat"].masks, strict=True):
        segmentation = one.to_segmentation(frame_size=(30, 20), target=255)
        np.testing.assert_array_equal(segmentation.mask > 0, mask)


@pytest.mark.parametrize(
    ("module", "convert", "extra"),
    [("supervision", to_supervision, "export"), ("fiftyone", to_fiftyone, "fiftyone")],
)
def test_a_library_that_is_missing_is_named(monkeypatch, pictures, module, convert, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf'pip install "trace-edges\[{extra}\]"'):
        convert(pictures["cat"])


def test_cocos_json_is_plain(tmp_path, pictures):
    pytest.importorskip("pycocotools")
    export_coco(pictures, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["images", "annotations", "categories"]
    assert text.endswith("}\n")
