"""Instance masks as `supervision.Detections`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trace_edges.extras import require
from trace_edges.results import InstanceMasks

if TYPE_CHECKING:
    from supervision import Detections


def to_supervision(instances: InstanceMasks, *, category: str = "object") -> Detections:
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
