"""Files of other tools, named where COCO's JSON is expected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_BEGINNING = 4096  # bytes that tell
_FILES = (
    (rb"\x1f\x8b|PK\x03\x04|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd", "an archive: unpack it first"),
    (rb"version https://git-lfs", "a pointer of Git LFS: fetch the file itself"),
    (rb"\s*<!DOCTYPE html|\s*<html", "a web page: fetch the file itself"),
    (rb"(\s*<\?xml[^>]*>)?\s*<annotations", "CVAT's XML: export it as COCO"),
    (rb"(\s*<\?xml[^>]*>)?\s*<annotation", "Pascal VOC's XML, which has boxes: give its masks"),
    (rb"\s*<", "XML: export it as COCO"),
    (rb"\d+( -?[\d.eE+-]+){4,}\s", "labels of YOLO: convert them to COCO"),
    (rb"\s*\{[^\n]*\}\s*\n\s*\{", "JSON Lines: write one list of all entries"),
    (rb"\w+(,\w+)+\r?\n", "CSV: convert it to COCO"),
)
# By the keys that a JSON of theirs has, or the first entry of it.
_TOOLS = (
    ({"shapes", "imagePath"}, "labelme"),
    ({"_via_img_metadata"}, "VIA"),
    ({"filename", "regions"}, "VIA"),
    ({"imgHeight", "objects"}, "Cityscapes"),
    ({"size", "objects", "tags"}, "Supervisely"),
    ({"features", "type"}, "GeoJSON"),
    ({"data", "annotations"}, "Label Studio"),
    ({"data", "predictions"}, "Label Studio"),
    ({"annotator", "annotation_id"}, "Label Studio (JSON-MIN)"),
    ({"name", "labels"}, "BDD100K"),
)
_PARTS = {"segments_info": "panoptic segments", "keypoints": "keypoints", "caption": "captions",
          "bbox": "boxes"}  # fmt: skip


def kind_of_file(path: Path) -> str | None:
    """What a file is that holds no JSON, and the mend; None where its beginning does not tell."""
    with path.open("rb") as file:
        begins = file.read(_BEGINNING)
    return next((kind for pattern, kind in _FILES if re.match(pattern, begins)), None)


def tool_of(content: Any) -> str | None:
    """The tool whose JSON this is; None where it may be COCO's."""
    values = content.values() if isinstance(content, Mapping) else content
    first = next(iter(values), None) if isinstance(values, Sequence | type({}.values())) else None
    for one in (content, first):
        if isinstance(one, Mapping) and not {"images", "image_id", "segmentation"} & one.keys():
            for keys, tool in _TOOLS:
                if keys <= one.keys():
                    return tool
    return None


def instead_of_masks(annotations: Any) -> str | None:
    """What annotations hold that have no `segmentation`, none of them; else None."""
    entries = [one for one in annotations if isinstance(one, Mapping)]
    if not entries or any("segmentation" in one for one in entries):
        return None
    return next((name for key, name in _PARTS.items() if key in entries[0]), None)
