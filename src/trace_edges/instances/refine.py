"""Masks of instances, cut at edges and merged where they overlap (section 3.5)."""

from __future__ import annotations

from dataclasses import asdict
from typing import overload

import numpy as np
from scipy.ndimage import find_objects
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trace_edges.checks import check_within
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.components import (
    Edges,
    Labels,
    Mask,
    by_falling_size,
    check_edges,
    components,
    edge_array,
    origin_of,
)
from trace_edges.instances.dividing import divide
from trace_edges.instances.fragments import Attachment, attach_fragments
from trace_edges.results import EdgeMap, InstanceMasks
from trace_edges.results.labels import label_array, label_windows, plain_array
from trace_edges.results.overlaps import overlapping


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

    Every mask is cut and filled by BGP on its own; then masks of one class with an IoU above `iou`
    are merged until none is left. Together the masks cover the same pixels as before.

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
        have its score and class; a label map is numbered anew from 1, and a single mask gives
        (n, h, w).

    Raises:
        ValueError: the sizes differ, the edges are not in [0, 1] or of several images, or the masks
            are of another kind.
    """
    check_within(0, 1, iou=iou)
    propagation = propagation.usual_for(origin_of(edges))
    edges = edge_array(edges, thin=True)
    if isinstance(masks, InstanceMasks):
        return _refine(masks, edges, propagation, iou, split_parts)
    masks = plain_array(masks)
    if masks.dtype == np.bool_ and masks.ndim in (2, 3):
        stack = masks.reshape(-1, *masks.shape[-2:])
        given = InstanceMasks(stack[stack.any(axis=(1, 2))])
        return _refine(given, edges, propagation, iou, split_parts).masks.copy()
    if np.issubdtype(masks.dtype, np.integer) and masks.ndim == 2:
        return _refine_labels(label_array(masks), edges, propagation, split_parts)
    raise ValueError(
        f"masks must be InstanceMasks, boolean (n, h, w) or integer labels (h, w), not "
        f"{masks.dtype} {masks.shape}: compare a soft mask with a threshold first"
    )


def merge_overlapping(masks: InstanceMasks, iou: float = 0.5) -> InstanceMasks:
    """Merge masks of one class until no two have a larger IoU.

    In each round every group of masks that are connected by such pairs becomes one, so that the
    result does not depend on their order. A merged mask has the best score of its parts, and the
    place of the first.

    Args:
        iou: in [0, 1].
    """
    check_within(0, 1, iou=iou)
    while True:
        pairs = overlapping(masks, iou)
        pairs = pairs[[masks.classes[one] == masks.classes[other] for one, other in pairs]]
        if not len(pairs):
            return masks
        graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(masks),) * 2)
        count, group = connected_components(graph, directed=False)
        masks = _united(masks, group, count)


def _united(masks: InstanceMasks, group: np.ndarray, count: int) -> InstanceMasks:
    """One mask for every group, with the best score of its members."""
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    windows, crops, scores = [], [], np.zeros(count, dtype=np.float32)
    for place, mine in enumerate(members):
        low, high = masks.boxes[mine, :2].min(axis=0), masks.boxes[mine, 2:].max(axis=0)
        united = np.zeros((high - low)[::-1], dtype=bool)
        for index in mine.tolist():
            (left, top), crop = masks.boxes[index, :2] - low, masks.crops[index]
            united[top : top + crop.shape[0], left : left + crop.shape[1]] |= crop
        windows.append((slice(low[1], high[1]), slice(low[0], high[0])))
        crops.append(united)
        scores[place] = masks.scores[mine].max()
    united_masks = InstanceMasks.cropped(windows, crops, masks.shape, scores, masks.settings)
    return united_masks.named(masks.classes[mine[0]] for mine in members)


def _refine(
    masks: InstanceMasks, edges: np.ndarray, how: Propagation, iou: float, split_parts: bool
) -> InstanceMasks:
    check_edges(edges, masks.shape)
    windows, crops, scores, classes = [], [], [], []
    given = list(zip(masks.windows, masks.crops, strict=True))
    divided = divide(given, edges, how)
    known = zip(given, divided, masks.scores, masks.classes, strict=True)
    for (box, mask), found, score, name in known:
        fragments = _fragments(mask, found, how.scaled(edges.shape), split_parts)
        for number, (rows, columns) in enumerate(find_objects(fragments), 1):
            crops.append(fragments[rows, columns] == number)
            windows.append((_moved(rows, box[0]), _moved(columns, box[1])))
            scores.append(score)
            classes.append(name)
    settings = {**masks.settings, "propagation": asdict(how), "iou": iou}
    refined = InstanceMasks.cropped(windows, crops, masks.shape, np.array(scores), settings)
    return merge_overlapping(refined.named(classes), iou)


def _moved(inner: slice, outer: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def _refine_labels(
    labels: np.ndarray, edges: np.ndarray, how: Propagation, split_parts: bool
) -> Labels:
    """Labels do not overlap, and neither do their fragments: nothing is there to merge."""
    check_edges(edges, labels.shape)
    refined = np.zeros(labels.shape, dtype=np.int32)
    count = 0
    windows = [window for number, window in label_windows(labels).items() if number != 0]
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
