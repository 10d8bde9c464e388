"""Instance masks as FiftyOne `Detections`.

Whole data sets need no format of their own: FiftyOne imports what `export_coco` writes, as
`fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.COCODetectionDataset,
data_path=PHOTOGRAPHS, labels_path=JSON, label_types="segmentations")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trace_edges.extras import require
from trace_edges.formats.listing import plain
from trace_edges.results import InstanceMasks

if TYPE_CHECKING:
    from fiftyone import Detections

# px: FiftyOne cuts the products of shares and sides to integers, which a rounding error would make
# one too few.
_NUDGE = 1e-6


def to_fiftyone(instances: InstanceMasks, *, category: str = "object") -> Detections:
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
        mask = instances.masks[index, top:bottom, left:right].copy()
        score = plain(instances.scores[index])
        found.append(
            library.Detection(label=category, bounding_box=box, mask=mask, confidence=score)
        )
    return library.Detections(detections=found)
