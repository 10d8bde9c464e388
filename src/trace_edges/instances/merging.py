"""Masks that overlap for the most part are one instance (section 3.5)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trace_edges.results import InstanceMasks

Masks = Bool[np.ndarray, "n h w"]


def merge_overlapping(masks: InstanceMasks, iou: float = 0.5) -> InstanceMasks:
    """Merge masks until no two have a larger IoU.

    In each round every group of masks that are connected by such pairs becomes one, so that the
    result does not depend on their order. A merged mask has the best score of its parts, and the
    place of the first.

    Args:
        iou: in [0, 1].
    """
    if not 0 <= iou <= 1:
        raise ValueError(f"iou must lie in [0, 1], not {iou}")
    while True:
        pairs = overlapping(masks, iou)
        if not len(pairs):
            return masks
        graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(masks),) * 2)
        count, group = connected_components(graph, directed=False)
        united = np.zeros((count, *masks.shape), dtype=bool)
        scores: Float32[np.ndarray, " n"] = np.zeros(count, dtype=np.float32)
        for mask, score, place in zip(masks.masks, masks.scores, group, strict=True):
            united[place] |= mask
            scores[place] = max(scores[place], score)
        masks = InstanceMasks(united, scores, masks.settings)


def overlapping(masks: InstanceMasks, iou: float) -> Int64[np.ndarray, "pairs 2"]:
    """Pairs of masks with an IoU above `iou`.

    Most pairs are ruled out by their areas, whose ratio bounds the IoU, or by their boxes.
    """
    if len(masks) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    areas, boxes = masks.areas, masks.boxes
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    bound = np.minimum(np.maximum(high - low, 0).prod(axis=-1), np.minimum.outer(areas, areas))
    possible = np.triu(bound > iou * (np.add.outer(areas, areas) - bound), 1)
    pairs = []
    for i, j in np.argwhere(possible):
        (left, top), (right, bottom) = low[i, j], high[i, j]
        window = np.s_[top:bottom, left:right]
        common = np.count_nonzero(masks.masks[i][window] & masks.masks[j][window])
        if common > iou * (areas[i] + areas[j] - common):
            pairs.append((i, j))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
