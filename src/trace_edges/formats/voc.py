"""Pascal VOC's instance images, and COCO annotations made of a split of them."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from trace_edges.extras import require
from trace_edges.files import read_text
from trace_edges.formats.pixels import UNLABELLED, read_pixels
from trace_edges.formats.rle import encode_mask
from trace_edges.formats.truth import Segments, refusal, refused

OBJECTS, CLASSES = "SegmentationObject", "SegmentationClass"
SPLITS = Path("ImageSets", "Segmentation")
CLASS_NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip


def read_indices(path: str | PathLike[str]) -> Int32[np.ndarray, "h w"]:
    """Palette indices of a VOC image: 0 is background and 255 void.

    Raises:
        GroundTruthError: the file is missing or damaged, or its indices have become colours.
    """
    with refused(Path(path)):
        pixels, _ = read_pixels(path, ("P", "L"), "a VOC annotation is a palette PNG")
    return pixels.astype(np.int32)


def read_voc(path: str | PathLike[str]) -> list[Segments]:
    """The instances of an image of SegmentationObject; errors are those of `read_indices`."""
    indices = read_indices(path)
    return [Segments(indices, indices == UNLABELLED)]


def voc_instances(
    root: str | PathLike[str],
    split: str = "val",
    *,
    class_agnostic: bool = True,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """COCO instance annotations of a split, void left out: a dictionary that JSON can hold.

    Args:
        root: the folder VOC2012, which holds SegmentationObject and ImageSets.
        split: a list of ImageSets/Segmentation: "train", "val", "trainval".
        class_agnostic: one category, 1 "object"; otherwise VOC's 20 classes, 1 to 20, an instance
            being of the class that most of its pixels have in SegmentationClass.
        progress: called after each image with the images done and their number.

    Returns:
        `images` numbered from 1 in the order of the split, `annotations` with compressed RLE,
        pixel area, box [x, y, width, height] and iscrowd 0, and `categories`.

    Raises:
        GroundTruthError: a file is missing or damaged, or an instance has no class.
        ImportError: pycocotools is not installed.
    """
    library = require("pycocotools.mask", "eval")
    root = Path(root)
    names = split_names(root, split)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, name in enumerate(names, 1):
        indices = read_indices(root / OBJECTS / f"{name}.png")
        height, width = indices.shape
        images.append({"id": number, "file_name": f"{name}.jpg", "height": height, "width": width})
        classes = None if class_agnostic else _read_classes(root, name, indices)
        for instance in instance_numbers(indices):
            mask = indices == instance
            category = 1 if classes is None else _class_of(mask, classes, root, name, instance)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": category}
                | _coco_mask(mask, library)
            )
        if progress is not None:
            progress(number, len(names))
    categories = ("object",) if class_agnostic else CLASS_NAMES
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, 1)],
    }


def split_names(root: Path, split: str) -> list[str]:
    """The images of a split, in its order.

    Raises:
        GroundTruthError: there is no such split, or it is empty.
    """
    path = root / SPLITS / f"{split}.txt"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.txt")))
        mend = f"choose from {known}" if known else "give the folder VOC2012 itself"
        raise refusal(path, "there is no such split", mend)
    names = read_text(path).split()
    if not names:
        raise refusal(path, "is empty", "fetch it again")
    return names


def instance_numbers(indices: Int32[np.ndarray, "h w"]) -> list[int]:
    """The instances of an image, rising; neither background nor void is one."""
    return np.setdiff1d(indices, (0, UNLABELLED)).tolist()


def class_of(mask: Bool[np.ndarray, "h w"], classes: Int32[np.ndarray, "h w"]) -> int | None:
    """The class most pixels of an instance have, 1 to 20; None where all are 0 or void."""
    counts = np.bincount(classes[mask], minlength=UNLABELLED + 1)[1 : len(CLASS_NAMES) + 1]
    return int(counts.argmax()) + 1 if counts.any() else None


def _class_of(
    mask: Bool[np.ndarray, "h w"],
    classes: Int32[np.ndarray, "h w"],
    root: Path,
    name: str,
    instance: int,
) -> int:
    found = class_of(mask, classes)
    if found is None:
        path = root / CLASSES / f"{name}.png"
        raise refusal(path, f"instance {instance} has no class there", "fetch both images again")
    return found


def _read_classes(
    root: Path, name: str, indices: Int32[np.ndarray, "h w"]
) -> Int32[np.ndarray, "h w"]:
    path = root / CLASSES / f"{name}.png"
    classes = read_indices(path)
    if classes.shape != indices.shape:
        problem = f"is {classes.shape}, and {OBJECTS}/{name}.png is {indices.shape} (h, w)"
        raise refusal(path, problem, "fetch both images again")
    return classes


def _coco_mask(mask: Bool[np.ndarray, "h w"], library: ModuleType) -> dict[str, Any]:
    """Mask, area, box and crowd flag as COCO writes them."""
    rle = encode_mask(mask, "eval")
    box = library.toBbox(rle).tolist()
    return {"segmentation": rle, "area": int(mask.sum()), "bbox": box, "iscrowd": 0}
