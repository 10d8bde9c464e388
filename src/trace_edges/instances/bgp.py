"""Background-Guided Propagation, BGP (section 3.5): the edges cut a mask into fragments, and every
fragment grows inside its own boundaries until the mask is full again.

An edge with a gap would leave two instances connected, and a stray edge cuts one in two. So a mask
is first split generously, also at every gap of up to `close_gap` pixels, and the parts are then
merged across the borders that are not mostly edge.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from skimage.segmentation import watershed

from trace_edges.checks import check_within
from trace_edges.instances.components import (
    Edges,
    Labels,
    Mask,
    Origin,
    borders,
    by_falling_size,
    components,
    fragment_cores,
    grown,
)
from trace_edges.instances.slivers import merge_slivers

Method = Literal["watershed", "random_walk"]

REFERENCE = 640 * 480  # pixels of the image in which sizes are meant
# From which strength edges divide masks, by what drew them (`benchmarks.masks.defaults`).
_THRESHOLDS: dict[Origin, float] = {
    "detector": 0.7, "image-alone": 0.95, "training-free": 0.7, "calibrated": 0.65,
}  # fmt: skip


@dataclass(frozen=True)
class Propagation:
    """Settings of how a mask is cut and filled.

    Sizes are pixels of an image of 640 x 480, and grow with the sides of a larger one; in a smaller
    one they stay, since lines are drawn a pixel wide in all.

    `close_gap` and `closed` were chosen on 25 photographs of COCO with ground-truth edges of which
    3 % was taken out in holes of 1, 3 and 5 px. PQ of things, pooled: 77.9, 82.6, 85.7 with no gap
    closed; 88.4, 89.3, 85.9 with 3; 88.5, 88.8, 88.6 with 5; 87.0, 88.0, 88.2 with 7. With `closed`
    at 0.5, 0.75 and 0.9, and 3: 88.6, 88.4, 86.7 for the smallest holes. `min_area`
    was chosen on the 50 photographs of `Attachment`; so were `threshold`, `hysteresis`, `dividing`
    and `min_radius`, with the edges of the default detector, of Canny and of other photographs
    (docs/segmentation.md).

    Attributes:
        threshold: strength in (0, 1] from which an edge separates. None: the usual one of what an
            EdgeMap says that it was made by, or else of the default detector.
        dividing: share of the edges inside the masks of an image that must run along lines that
            divide a mask, or none of them is cut: edges that mostly divide nothing draw more than
            borders of instances (`dividing.py`). 0 for no such condition.
        hysteresis: down to this share of the threshold an edge separates where it continues a
            stronger one; 1 for none.
        close_gap: pixels; a gap up to this wide in an edge counts as closed. 0 for none.
        closed: share of a border that must be edge, or the two sides of it are one.
        min_area: pixels; a smaller fragment falls to its neighbours, unless it is all there is.
        min_radius: pixels; a fragment in which no circle of this radius fits belongs to the
            neighbour that it runs along (`slivers.py`). 0 for none.
        method: "watershed", or "random_walk" as in the paper (`random_walk.py`): seconds an image.
    """

    threshold: float | None = None
    dividing: float = 0.95
    hysteresis: float = 1.0
    close_gap: int = 5
    closed: float = 0.75
    min_area: int = 20
    min_radius: float = 3.0
    method: Method = "watershed"

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must lie in (0, 1], not {self.threshold}")
        check_within(0, 1, dividing=self.dividing, hysteresis=self.hysteresis, closed=self.closed)
        for name in ("close_gap", "min_area", "min_radius"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more pixels, not {getattr(self, name)}")
        if self.method not in get_args(Method):
            known = ", ".join(get_args(Method))
            raise ValueError(f"unknown method {self.method!r}: choose from {known}")

    def usual_for(self, origin: Origin) -> Propagation:
        """The same for edges of this origin: with their usual threshold, where none is given."""
        if self.threshold is not None:
            return self
        return replace(self, threshold=_THRESHOLDS[origin])

    @property
    def cuts_from(self) -> float:
        """The threshold that is taken; that of the default detector where nothing else is known."""
        return _THRESHOLDS["image-alone"] if self.threshold is None else self.threshold

    def scaled(self, size: tuple[int, ...]) -> Propagation:
        """The same with its pixels those of an image of `size` (h, w)."""
        factor = enlargement(size)
        if factor == 1:
            return self
        return replace(
            self,
            close_gap=round(factor * self.close_gap),
            min_area=round(factor**2 * self.min_area),
            min_radius=factor * self.min_radius,
        )


PROPAGATION = Propagation()


def enlargement(size: tuple[int, ...]) -> float:
    """How much longer the sides of an image (h, w) are than those of 640 x 480; at least 1."""
    return max(1.0, math.sqrt(math.prod(size) / REFERENCE))


def partition(mask: Mask, edges: Edges, cut: Mask, how: Propagation) -> Labels:
    """Cut one mask into fragments and fill it with them; all windows on its bounding box.

    Args:
        cut: the `cut_pixels` of the edges.
        how: with sizes in pixels of this image (`Propagation.scaled`).

    Returns:
        (h, w) the number of the fragment of each pixel, by falling size from 1; 0 is outside.
    """
    markers = _markers(mask, edges, cut, how)
    if how.method == "random_walk":
        from trace_edges.instances.random_walk import random_walk  # brings torch

        markers = random_walk(markers, edges, mask)
    fragments = flood(markers, edges, mask)
    if how.close_gap:
        fragments = merge_across_weak_borders(fragments, cut, how.closed)
    fragments = by_falling_size(fragments)
    return merge_slivers(fragments, cut, how.min_radius) if how.min_radius else fragments


def _markers(mask: Mask, edges: Edges, cut: Mask, how: Propagation) -> Labels:
    """Fragments of at least `min_area`; a part of the mask that has none is one as it stands."""
    fragments = flood(fragment_cores(mask, cut, how.close_gap), edges, mask & ~cut)
    small = np.bincount(fragments.ravel()) < how.min_area
    markers = np.where(small[fragments], 0, fragments)
    parts = components(mask)
    marked = np.zeros(parts.max() + 1, dtype=bool)
    marked[parts[markers > 0]] = True
    lone = mask & ~marked[parts]
    return np.where(lone, parts + markers.max(), markers)


def flood(markers: Labels, edges: Edges, mask: Mask) -> Labels:
    """Give every pixel of a mask that no marker owns to the marker that reaches it first.

    Weak edges are crossed before strong ones, so two markers meet on the ridge between them.

    Args:
        markers: (h, w) their numbers, 0 where none is; they keep what they have.
        edges: (h, w) the height that the flood climbs.
        mask: (h, w) where it may go.

    Returns:
        (h, w) the markers, grown over every pixel of the mask that is 4-connected to one.
    """
    unowned = mask & (markers == 0)
    if not unowned.any():
        return markers
    # Flooding starts at the markers' shores: their inside would cost as much and change nothing.
    shore = grown(unowned, 1) & (markers > 0)
    start = np.where(shore, markers, 0)
    flooded = watershed(edges, start, connectivity=1, mask=unowned | shore)
    return np.where(unowned, flooded, markers).astype(np.int32)


def merge_across_weak_borders(labels: Labels, cut: Mask, closed: float) -> Labels:
    """Merge fragments, across the weakest border first, until every border is mostly edge.

    Two borders with the same third fragment become one when their fragments merge.

    Args:
        labels: (h, w) fragments, 0 where none is.
        cut: (h, w) the pixels that separate.
        closed: share of a border, in [0, 1], that must be edge for the border to stay.

    Returns:
        (h, w) fragments; a merged one has the number of one of its parts.
    """
    around: dict[int, dict[int, tuple[int, int]]] = {}  # fragment, neighbour: edge, length
    heap: list[tuple[float, int, int]] = []
    for (a, b), length, edge in zip(*(each.tolist() for each in borders(labels, cut)), strict=True):
        around.setdefault(a, {})[b] = around.setdefault(b, {})[a] = (edge, length)
        heap.append((edge / length, a, b))
    heapq.heapify(heap)
    owner = np.arange(labels.max() + 1, dtype=np.int32)
    while heap and heap[0][0] < closed:
        share, a, b = heapq.heappop(heap)
        edge, length = around.get(a, {}).get(b, (1, 0))
        if not length or edge / length != share:
            continue  # the border has changed since, and stands in the heap anew
        owner[owner == b] = a
        for c, (more_edge, more_length) in around.pop(b).items():
            del around[c][b]
            if c != a:
                edge, length = around[a].get(c, (0, 0))
                around[a][c] = around[c][a] = edge + more_edge, length + more_length
                share = (edge + more_edge) / (length + more_length)
                heapq.heappush(heap, (share, min(a, c), max(a, c)))
    merged: Labels = owner[labels]
    return merged
