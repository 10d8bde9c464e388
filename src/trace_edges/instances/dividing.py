"""Which masks of an image its edges divide, and whether they are edges that may divide any.

Borders of instances end at other borders: inside a mask they divide it. Edges of texture, shadows
and parts mostly end anywhere, but where there are many some of them close by chance, and what they
close off is no instance. So edges are believed by what all of them do in an image: when too many of
those inside its masks divide nothing, none of its masks is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_erosion
from skimage.morphology import thin

from trace_edges.instances.bgp import PROPAGATION, Propagation, enlargement, partition
from trace_edges.instances.components import (
    SIDES,
    Edges,
    Labels,
    Mask,
    bounding_box,
    by_falling_size,
    check_edges,
    components,
    cut_pixels,
    edge_array,
    grown,
    origin_of,
)
from trace_edges.results import EdgeMap
from trace_edges.results.labels import plain_array

Box = tuple[slice, slice]

# Pixels of an image of 640 x 480: how far an edge may lie from the line along which it divides, and
# from the end of the mask to be none of its inside.
_BESIDE, _RIM = 2, 5


def propagate(mask: Mask, edges: Edges | EdgeMap, how: Propagation = PROPAGATION) -> Labels:
    """Cut one mask into fragments and fill it with them.

    Args:
        mask: (h, w) of one instance or one class, in any number of parts.
        edges: (h, w) in [0, 1], 1 on an edge; smooth, thin, or a drawn boundary. Of an `EdgeMap` of
            one image, its `thin`.

    Returns:
        (h, w) each pixel of the mask has the number of its fragment, by falling size from 1; 0 is
        outside.

    Raises:
        ValueError: the sizes differ, or the edges are not in [0, 1] or of several images.
    """
    how = how.usual_for(origin_of(edges))
    edges, mask = edge_array(edges, thin=True), plain_array(mask)
    check_edges(edges, mask.shape)
    labels = np.zeros(mask.shape, dtype=np.int32)
    if mask.any():
        box = bounding_box(mask)
        (labels[box],) = divide([(box, mask[box])], edges, how)
    return labels


def divide(masks: Sequence[tuple[Box, Mask]], edges: Edges, how: Propagation) -> list[Labels]:
    """The fragments of every mask of an image; its connected parts where edges are not believed.

    Args:
        masks: where each lies, and what it has there.
        edges: (h, w) in [0, 1], of the whole image.

    Returns:
        A window for each mask: its fragments by falling size from 1; 0 is outside.
    """
    how = how.scaled(edges.shape)
    cut = cut_pixels(edges, how.cuts_from, how.hysteresis)
    found = [partition(mask, edges[box], cut[box], how) for box, mask in masks]
    if how.dividing:
        factor = enlargement(edges.shape)
        counts = [
            _edges_inside(labels, mask & cut[box], factor)
            for labels, (box, mask) in zip(found, masks, strict=True)
        ]
        beside, inside = np.sum(counts, axis=0) if counts else (0, 0)
        if beside < how.dividing * inside:
            return [by_falling_size(components(mask)) for _, mask in masks]
    return found


def open_lines(edges: Edges, labels: Labels, strength: float) -> bool:
    """Whether edges are thin lines most of which are no border between regions.

    A thin map is 0 between its lines, and no line is more than two pixels wide. Lines with gaps
    enclose nothing.

    Args:
        labels: (h, w) the smallest regions that the edges close, of whatever strength.
        strength: weaker lines are passed over.
    """
    drawn = edges > 0
    lines = edges > strength
    if not lines.any() or binary_erosion(drawn, np.ones((3, 3))).any():
        return False
    borders = np.zeros(labels.shape, dtype=bool)
    for one, other in SIDES:
        borders[one] |= labels[one] != labels[other]
    near = grown(borders, round(enlargement(edges.shape) * _BESIDE) + 1)
    return bool(np.count_nonzero(lines & near) < np.count_nonzero(lines) / 2)


def _edges_inside(labels: Labels, cut: Mask, factor: float) -> tuple[int, int]:
    """Pixels of the edges inside a mask: those beside a line that divides it, and all.

    Edges are counted by their middle line, so that a band is no more than a line.
    """
    if not cut.any():
        return 0, 0
    dividing = np.zeros(labels.shape, dtype=bool)
    for one, other in SIDES:
        a, b = labels[one], labels[other]
        met = (a != b) & (a > 0) & (b > 0)
        dividing[one] |= met
        dividing[other] |= met
    beside = grown(dividing, round(factor * _BESIDE))
    rim = round(factor * _RIM)
    outside = grown(np.pad(labels == 0, rim, constant_values=True), rim)
    inner = beside | ~outside[rim:-rim, rim:-rim]
    lines = thin(cut & inner)
    return int(np.count_nonzero(lines & beside)), int(np.count_nonzero(lines))
