"""Masks of instances, cut at edges and merged where they overlap (section 3.5)."""

from __future__ import annotations

from dataclasses import asdict
from typing import overload

import numpy as np
from jaxtyping import Float32, Int64
from scipy.ndimage import find_objects
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.components import (
    Edges,
    Labels,
    Mask,
    bounding_box,
    by_falling_size,
    check_edges,
    components,
    edge_array,
)
from trace_edges.instances.dividing import divide
from trace_edges.instances.fragments import Attachment, attach_fragments
from trace_edges.results import EdgeMap, InstanceMasks


@overload
def refine_instances(
    masks: InstanceMasks,
    edges: Edges | EdgeMap,
    *,
    propagation: Propagation = ...,
    iou: float = ...,
    split_parts: bool = ...,
) -> InstanceMasks: ...
@overload
def refine_instances(
    masks: np.ndarray,
    edges: Edges | EdgeMap,
    *,
    propagation: Propagation = ...,
    iou: float = ...,
    split_parts: bool = ...,
) -> np.ndarray: ...
def refine_instances(
    masks: InstanceMasks | np.ndarray,
    edges: Edges | EdgeMap,
    *,
    propagation: Propagation = PROPAGATION,
    iou: float = 0.5,
    split_parts: bool = False,
) -> InstanceMasks | np.ndarray:
    """Cut masks at the edges and merge those that overlap (section 3.5).

    Every mask is cut and filled by BGP on its own; then masks with an IoU above `iou` are merged
    until none is left. Together the masks cover the same pixels as before.

    Args:
        masks: an `InstanceMasks`, boolean (n, h, w) or (h, w), or a label map (h, w) of integers
            in which 0 is no instance. Masks without a pixel are left out.
        edges: (h, w) in [0, 1], 1 on an edge: thin, or a drawn boundary. Of an `EdgeMap` of one
            image, its `thin`. A smooth map that reaches the threshold nearly everywhere leaves
            nothing between its edges, and the masks stay as they are.
        split_parts: parts of a mask that do not touch are instances of their own, as masks of
            MaskCut want it, which may cover several. Otherwise the parts that no edge divides stay
            one instance, as of an object behind a post.

    Returns:
        The kind that was given. Fragments stand in the place of their mask, by falling size, and
        have its score; a label map is numbered anew from 1, and a single mask gives (n, h, w).

    Raises:
        ValueError: the sizes differ, the edges are not in [0, 1] or of several images, or the masks
            are of another kind.
    """
    edges = edge_array(edges, thin=True)
    if isinstance(masks, InstanceMasks):
        return _refine(masks, edges, propagation, iou, split_parts)
    if masks.dtype == np.bool_ and masks.ndim in (2, 3):
        stack = masks.reshape(-1, *masks.shape[-2:])
        stack = stack[stack.any(axis=(1, 2))]
        scores = np.ones(len(stack), dtype=np.float32)
        return _refine(InstanceMasks(stack, scores), edges, propagation, iou, split_parts).masks
    if np.issubdtype(masks.dtype, np.integer) and masks.ndim == 2:
        return _refine_labels(masks, edges, propagation, split_parts)
    raise ValueError(
        f"masks must be InstanceMasks, boolean (n, h, w) or integer labels (h, w), not "
        f"{masks.dtype} {masks.shape}: compare a soft mask with a threshold first"
    )


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


def _refine(
    masks: InstanceMasks, edges: np.ndarray, how: Propagation, iou: float, split_parts: bool
) -> InstanceMasks:
    check_edges(edges, masks.shape)
    windows = [(box, mask[box]) for mask in masks.masks for box in [bounding_box(mask)]]
    parts, scores = [np.zeros((0, *masks.shape), dtype=bool)], []
    for (box, mask), divided, score in zip(
        windows, divide(windows, edges, how), masks.scores, strict=True
    ):
        fragments = _fragments(mask, divided, how.scaled(edges.shape), split_parts)
        numbers = np.arange(1, fragments.max() + 1)
        part = np.zeros((len(numbers), *masks.shape), dtype=bool)
        part[:, *box] = fragments == numbers[:, None, None]
        parts.append(part)
        scores += [score] * len(numbers)
    settings = {**masks.settings, "propagation": asdict(how), "iou": iou}
    refined = InstanceMasks(np.concatenate(parts), np.array(scores, dtype=np.float32), settings)
    return merge_overlapping(refined, iou)


def _refine_labels(
    labels: np.ndarray, edges: np.ndarray, how: Propagation, split_parts: bool
) -> Labels:
    """Labels do not overlap, and neither do their fragments: nothing is there to merge."""
    check_edges(edges, labels.shape)
    refined = np.zeros(labels.shape, dtype=np.int32)
    count = 0
    numbers, places = np.unique(labels, return_inverse=True)
    boxes = find_objects(places.reshape(labels.shape).astype(np.int32) + 1)
    windows = [
        (box, labels[box] == number)
        for number, box in zip(numbers, boxes, strict=True)
        if number != 0
    ]
    for (box, mask), divided in zip(windows, divide(windows, edges, how), strict=True):
        fragments = _fragments(mask, divided, how.scaled(edges.shape), split_parts)
        refined[box][mask] = fragments[mask] + count
        count += int(fragments.max())
    return refined


def _fragments(mask: Mask, fragments: Labels, how: Propagation, split_parts: bool) -> Labels:
    """Those of one mask; islands too small to be an instance go to the nearest fragment."""
    # What stands in front of a single mask is not known.
    owner = attach_fragments(fragments, None, Attachment(min_area=how.min_area))
    fragments = owner[fragments]
    if not split_parts:
        parts = components(mask)
        pairs = np.unique(np.stack([parts[mask], fragments[mask]]), axis=1)
        divided = np.bincount(pairs[0])[pairs[0]] > 1
        whole = np.setdiff1d(pairs[1], pairs[1][divided])
        if len(whole):
            fragments = np.where(np.isin(fragments, whole), whole[0], fragments)
    return by_falling_size(fragments)
