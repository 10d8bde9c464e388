"""Instance masks as `Detections` of supervision and of FiftyOne.

Whole data sets need no format of their own for FiftyOne: it imports what `export_coco` writes, as
`fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.COCODetectionDataset,
data_path=PHOTOGRAPHS, labels_path=JSON, label_types="segmentations")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trace_edges.extras import require
from trace_edges.formats.listing import plain
from trace_edges.results import InstanceMasks

if TYPE_CHECKING:
    import fiftyone
    import supervision

# px: FiftyOne cuts the products of shares and sides to integers, which a rounding error would make
# one too few.
_NUDGE = 1e-6


def to_supervision(instances: InstanceMasks, *, category: str = "object") -> supervision.Detections:
    """The instances of one image as supervision's Detections, in their order.

    `xyxy` are the boxes in px, right and bottom exclusive; `class_id` is 0 throughout, and
    `data["class_name"]` is `category`. Masks are not copied.

    Raises:
        ImportError: supervision is not installed.
    """
    count = len(instances)
    return require("supervision", "export").Detections(
        xyxy=instances.boxes.astype(np.float32).reshape(count, 4),
        mask=instances.masks,
        confidence=instances.scores,
        class_id=np.zeros(count, dtype=np.int64),
        data={"class_name": np.full(count, category)},
    )


def to_fiftyone(instances: InstanceMasks, *, category: str = "object") -> fiftyone.Detections:
    """The instances of one image as FiftyOne's Detections: a field of a sample.

    A detection has its box as shares of the image, and the mask within the box.

    Raises:
        ImportError: fiftyone is not installed.
    """
    library = require("fiftyone", "fiftyone")
    height, width = instances.shape
    found = []
    for index, (left, top, right, bottom) in enumerate(instances.boxes.tolist()):
        box = [
            (left + _NUDGE) / width,
            (top + _NUDGE) / height,
            (right - left) / width,
            (bottom - top) / height,
        ]
        mask = instances.crops[index].copy()
        score = plain(instances.scores[index])
        found.append(
            library.Detection(label=category, bounding_box=box, mask=mask, confidence=score)
        )
    return library.Detections(detections=found)
