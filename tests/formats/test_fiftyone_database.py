"""Whole data sets in FiftyOne, which keeps them in MongoDB: skipped without a mongod that runs."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from trace_edges.formats.coco import export_coco

# In a process of its own: whether there is a database is settled when fiftyone is imported.
READER = """
import sys
import fiftyone
import numpy as np
from trace_edges.formats import to_fiftyone
from trace_edges.results import InstanceMasks

photographs, json, written, read = sys.argv[1:]
dataset = fiftyone.Dataset.from_dir(
    dataset_type=fiftyone.types.COCODetectionDataset,
    data_path=photographs, labels_path=json, label_types="segmentations", extra_attrs=True,
)
(field,) = [name for name, kind in dataset.get_field_schema().items()
            if getattr(kind, "document_type", None) is fiftyone.Detections]
whole = {sample.filename: sample for sample in dataset}
assert whole.keys() == {"blank.jpg", "cat.jpg"}, list(whole)
assert whole["blank.jpg"][field] is None or not whole["blank.jpg"][field].detections
with np.load(written) as given:
    own = to_fiftyone(InstanceMasks(given["masks"], given["scores"]))
whole["cat.jpg"]["own"] = own
whole["cat.jpg"].save()
dataset.reload()
sample = dataset[whole["cat.jpg"].id]

def masks(name):
    return [one.to_segmentation(frame_size=(30, 20), target=255).mask > 0
            for one in sample[name].detections]

np.savez(read, imported=masks(field), kept=masks("own"),
         scores=[one.confidence for one in sample[field].detections])
"""


@pytest.fixture
def mongod(monkeypatch):
    monkeypatch.setenv("FIFTYONE_DISABLE_SERVICES", "1")  # here, not in the reader
    service = pytest.importorskip("fiftyone.core.service")
    try:
        path = service.DatabaseService.find_mongod()
        subprocess.run([path, "--version"], check=True, capture_output=True)
    except (service.ServiceExecutableNotFound, OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"FiftyOne has no mongod that runs: {error}")
    return path


@pytest.mark.usefixtures("mongod")
def test_from_dir_makes_the_samples_of_cocos_file(tmp_path, pictures):
    (tmp_path / "photographs").mkdir()
    for name, instances in pictures.items():
        Image.new("RGB", instances.shape[::-1]).save(tmp_path / "photographs" / f"{name}.jpg")
    export_coco(pictures, tmp_path / "a.json")
    masks, scores = pictures["cat"].masks, pictures["cat"].scores
    np.savez(tmp_path / "written.npz", masks=masks, scores=scores)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("FIFTYONE_")},
        "FIFTYONE_DATABASE_DIR": str(tmp_path / "database"),
        "FIFTYONE_DO_NOT_TRACK": "1",
        "HOME": str(tmp_path),
    }
    paths = [tmp_path / name for name in ("photographs", "a.json", "written.npz", "read.npz")]
    run = subprocess.run(
        [sys.executable, "-c", READER, *map(str, paths)],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    with np.load(tmp_path / "read.npz") as read:
        np.testing.assert_array_equal(read["imported"], masks)
        np.testing.assert_array_equal(read["kept"], masks)
        assert read["scores"].tolist() == [0.9, 0.25, 0.125, 1.0]
