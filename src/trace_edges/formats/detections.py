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
from trace_edges.results import OBJECT, InstanceMasks

if TYPE_CHECKING:
    import fiftyone
    import supervision

# px: FiftyOne cuts the products of shares and sides to integers, which a rounding error would make
# one too few.
_NUDGE = 1e-6


def to_supervision(instances: InstanceMasks, *, category: str = "object") -> supervision.Detections:
    """The instances of one image as supervision's Detections, in their order.

    `xyxy` are the boxes in px, right and bottom exclusive. `data["class_name"]` is the class of
    each, or `category` where it is not known, which has the `class_id` 0; others follow in the
    order in which they come. Masks are not copied.

    Raises:
        ImportError: supervision is not installed.
    """
    count, names = len(instances), _names(instances, category)
    places = {category: 0}
    return require("supervision", "export").Detections(
        xyxy=instances.boxes.astype(np.float32).reshape(count, 4),
        mask=instances.masks,
        confidence=instances.scores,
        class_id=np.array([places.setdefault(one, len(places)) for one in names], dtype=np.int64),
        data={"class_name": np.array(names, dtype=np.str_)},
    )


def to_fiftyone(instances: InstanceMasks, *, category: str = "object") -> fiftyone.Detections:
    """The instances of one image as FiftyOne's Detections: a field of a sample.

    A detection has its box as shares of the image, and the mask within the box; its label is its
    class, or `category` where that is not known.

    Raises:
        ImportError: fiftyone is not installed.
    """
    library = require("fiftyone", "fiftyone")
    height, width = instances.shape
    found, names = [], _names(instances, category)
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
            library.Detection(label=names[index], bounding_box=box, mask=mask, confidence=score)
        )
    return library.Detections(detections=found)


def _names(instances: InstanceMasks, category: str) -> list[str]:
    """The class of each, `category` where it is not known."""
    return [category if one == OBJECT else one for one in instances.classes]
