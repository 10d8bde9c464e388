"""YOLO's files as Ultralytics reads them, offline and without a model."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, label

from trace_edges.formats.yolo import export_yolo
from trace_edges.results import InstanceMasks

SIDE = 64  # px


@pytest.fixture
def ultralytics(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("YOLO_AUTOINSTALL", "false")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("ultralytics")))
    return pytest.importorskip("ultralytics")


def write(folder, pictures, **more):
    export_yolo(pictures, folder, **more)
    (folder / "images").mkdir()
    for name, instances in pictures.items():
        Image.new("RGB", instances.shape[::-1]).save(folder / "images" / f"{name}.jpg")


def blobs(seed):
    """The six largest parts of smooth noise: borders in all directions, some with holes."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), 1.6)
    parts, _ = label(noise > 0, np.ones((3, 3)))
    largest = np.argsort(np.bincount(parts[parts > 0]))[::-1][:6]
    return InstanceMasks(parts == largest[:, None, None], np.ones(6, dtype=np.float32))


@pytest.mark.usefixtures("ultralytics")
def test_ultralytics_finds_every_label_and_none_that_is_wrong(tmp_path, pictures):
    from ultralytics.data.utils import (
        check_det_dataset,
        img2label_paths,
        polygons2masks,
        verify_image_label,
    )

    write(tmp_path, pictures, category="a: thing")
    data = check_det_dataset(str(tmp_path / "data.yaml"), autodownload=False)
    assert (data["nc"], data["names"]) == (1, {0: "a: thing"})
    assert data["train"] == data["val"] == str((tmp_path / "images").resolve())
    read = {}
    for name in pictures:
        image = str(tmp_path / "images" / f"{name}.jpg")
        (text,) = img2label_paths([image])
        _, labels, shape, polygons, _, missing, found, empty, corrupt, message = verify_image_label(
            (image, text, "", False, data["nc"], 0, 0, False)
        )
        assert (missing, found, corrupt, message) == (0, 1, 0, "")
        assert empty == (name == "blank")
        assert labels[:, 0].tolist() == [0] * len(pictures[name].masks)
        sides = np.array(shape[::-1])
        read[name] = polygons2masks(shape, [one * sides for one in polygons], color=1) > 0
    ring, parts, over, dot = pictures["cat"].masks
    np.testing.assert_array_equal(read["cat"][[0, 2, 3]], [ring, over, dot])
    assert not (parts & ~read["cat"][1]).any()
    assert (read["cat"][1] & ~parts).sum() == 6  # the bridge
    assert len(read["blank"]) == 0


@pytest.mark.usefixtures("ultralytics")
def test_what_ultralytics_trains_on_is_what_was_written(tmp_path):
    """With a thousand points a polygon, scaled and drawn anew, as its loader gives them."""
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_yolo_dataset
    from ultralytics.data.utils import check_det_dataset

    pictures = {f"blobs{seed}": blobs(seed) for seed in range(4)}
    write(tmp_path, pictures)
    data = check_det_dataset(str(tmp_path / "data.yaml"), autodownload=False)
    wanted = {"task": "segment", "imgsz": SIDE, "mask_ratio": 1, "overlap_mask": False}
    dataset = build_yolo_dataset(get_cfg(overrides=wanted), data["val"], 1, data, mode="val")
    assert len(dataset) == len(pictures)
    for item in dataset:
        masks = pictures[Path(item["im_file"]).stem].masks
        read = item["masks"].numpy() > 0
        assert read.shape == masks.shape
        assert not (masks & ~read).any()
        # A point that falls exactly between two pixels of a diagonal may be one beside them.
        assert (read & ~masks).sum() <= 0.002 * masks.sum()
