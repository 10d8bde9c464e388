"""Where masks overlap: only those whose boxes do are compared, and only there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from trace_edges.results.masks import InstanceMasks


def overlapping(masks: InstanceMasks, iou: float) -> Int64[np.ndarray, "pairs 2"]:
    """Pairs of masks with an IoU above `iou`.

    Most pairs are ruled out by their areas, whose ratio bounds the IoU, or by their boxes.
    """
    areas, boxes = masks.areas, masks.boxes
    order = np.argsort(boxes[:, 0], kind="stable")
    lefts = boxes[order, 0]
    ends = np.searchsorted(lefts, boxes[order, 2])  # those behind begin to the right of it
    pairs = []
    for place, (i, end) in enumerate(zip(order.tolist(), ends.tolist(), strict=True)):
        others = order[place + 1 : end]
        low = np.maximum(boxes[i, :2], boxes[others, :2])
        high = np.minimum(boxes[i, 2:], boxes[others, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        bound = np.minimum(shared, np.minimum(areas[i], areas[others]))
        for k in np.flatnonzero(bound > iou * (areas[i] + areas[others] - bound)).tolist():
            j = int(others[k])
            common = _common(masks, i, masks, j, low[k], high[k])
            if common > iou * (areas[i] + areas[j] - common):
                pairs.append((min(i, j), max(i, j)))
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def common_pixels(one: InstanceMasks, other: InstanceMasks) -> Int64[np.ndarray, "n m"]:
    """How many pixels each mask shares with each of the others."""
    shared = np.zeros((len(one), len(other)), dtype=np.int64)
    low = np.maximum(one.boxes[:, None, :2], other.boxes[:, :2])
    high = np.minimum(one.boxes[:, None, 2:], other.boxes[:, 2:])
    for i, j in np.argwhere((high > low).all(axis=2)).tolist():
        shared[i, j] = _common(one, i, other, j, low[i, j], high[i, j])
    return shared


def _common(
    one: InstanceMasks, i: int, other: InstanceMasks, j: int, low: np.ndarray, high: np.ndarray
) -> int:
    """How many pixels two masks share between two corners (x, y), where both boxes are."""
    crops = []
    for masks, k in ((one, i), (other, j)):
        (left, top), (right, bottom) = (end - masks.boxes[k, :2] for end in (low, high))
        crops.append(masks.crops[k][top:bottom, left:right])
    return int(np.count_nonzero(crops[0] & crops[1]))
