"""The tree of regions that edges close, merged in the order of the strength between them.

The smooth edge map is flooded from its minima (watershed), so that every ridge becomes a boundary
between two basins. Then the two neighbours whose common boundary is weakest are merged, again and
again, until one region is left. A boundary is as strong as its mean, times a power of the share of
the image that the smaller of the two regions has: what is small needs a stronger edge to stay. The
strengths at which regions merge ascend, so the merges form an ultrametric and each strength gives a
partition. With the power 0 this is the ultrametric contour map (Arbelaez et al., "Contour Detection
and Hierarchical Image Segmentation", PAMI 2011), written anew and without its fit of line segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from scipy.ndimage import gaussian_filter
from skimage.morphology import local_minima

from trace_edges.checks import check_within
from trace_edges.instances.bgp import flood
from trace_edges.instances.components import Edges, Origin, components, edge_array, origin_of
from trace_edges.results import EdgeMap

AREA_POWER = 0.25  # chosen on photographs, by average recall and precision


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A binary tree over the regions of one image; r of them are its leaves.

    Nodes 0 .. r - 1 are the leaves, r .. 2r - 2 the merges in the order they were made, and the
    last one is the whole image. A parent therefore has a larger number than its children.

    Attributes:
        labels: (H, W) leaf of each pixel.
        parents: (2r - 1,) parent of each node; the last node is its own.
        births: (2r - 1,) strength in [0, 1] at which the node came to be, ascending; 0 for leaves.
        areas: (2r - 1,) pixels.
        outlines: (2r - 1,) length of the boundary to other regions, in pairs of 4-neighbours.
        origin: what drew the edges, which decides what their strengths mean.
    """

    labels: Int32[np.ndarray, "h w"]
    parents: Int64[np.ndarray, " nodes"]
    births: Float64[np.ndarray, " nodes"]
    areas: Int64[np.ndarray, " nodes"]
    outlines: Int64[np.ndarray, " nodes"]
    origin: Origin = "image-alone"

    @property
    def leaves(self) -> int:
        """Number of regions that the flooding gave."""
        return (len(self.parents) + 1) // 2

    @property
    def deaths(self) -> Float64[np.ndarray, " nodes"]:
        """Strength at which each node is merged with its neighbour; 1 for the whole image."""
        deaths: Float64[np.ndarray, " nodes"] = self.births[self.parents]
        deaths[-1] = 1
        return deaths

    def totals(self, of_leaves: np.ndarray) -> np.ndarray:
        """What leaves have (r, ...), added up for every node (2r - 1, ...)."""
        found = np.zeros((len(self.parents), *of_leaves.shape[1:]), of_leaves.dtype)
        found[: self.leaves] = of_leaves
        for node, parent in enumerate(self.parents[:-1].tolist()):  # children come first
            found[parent] += found[node]
        return found

    def nodes_at(self, strength: float) -> Int64[np.ndarray, " leaves"]:
        """The node each leaf belongs to once all boundaries up to `strength` are removed."""
        return self._nodes_below(int(np.searchsorted(self.births, strength, side="right")))

    def nodes_of_count(self, count: int) -> Int64[np.ndarray, " leaves"]:
        """The node each leaf belongs to when `count` regions are left.

        Raises:
            ValueError: the tree has no such number of regions.
        """
        if not 1 <= count <= self.leaves:
            raise ValueError(f"the edges give 1 to {self.leaves} regions, not {count}")
        return self._nodes_below(2 * self.leaves - count)

    def _nodes_below(self, end: int) -> Int64[np.ndarray, " leaves"]:
        """The ancestor of each leaf that has the largest number below `end`."""
        end = max(end, self.leaves)  # a boundary of strength 0 or less is nobody's
        top = np.arange(len(self.parents))
        while True:
            above = self.parents[top]
            above = np.where(above < end, above, top)
            if (above == top).all():
                return top[: self.leaves]
            top = above


def build_hierarchy(
    edges: Edges | EdgeMap,
    *,
    area_power: float = AREA_POWER,
    blur: float = 0.0,
    origin: Origin | None = None,
) -> Hierarchy:
    """Flood an edge map from its minima and merge the basins by the strength between them.

    Args:
        edges: (h, w) in [0, 1], smooth: a map of thin lines has gaps, and basins leak through them.
            Of an `EdgeMap` of one image, its `edges`.
        area_power: of the share of the smaller region, by which a boundary is weakened; with 0 only
            the edges count.
        blur: standard deviation in px of a Gaussian over `edges` before the flooding; it makes
            thin lines smooth, and merges the minima of a noisy map.
        origin: what drew the edges. None: what an EdgeMap says, or else the default detector.

    Raises:
        ValueError: `edges` is no map in [0, 1], or of several images; or another argument makes
            no sense.
    """
    if origin is not None and origin not in get_args(Origin):
        raise ValueError(f"origin must be one of {', '.join(get_args(Origin))}, not {origin!r}")
    check_within(0, 10, area_power=area_power)
    origin, edges = origin or origin_of(edges), edge_array(edges)
    if edges.ndim != 2 or not edges.size:
        raise ValueError(f"edges must be (H, W), not {edges.shape}: give the map of one image")
    if not (edges.min() >= 0 and edges.max() <= 1):
        raise ValueError("edges must lie in [0, 1] and hold no NaN: scale them")
    check_within(0, max(edges.shape), blur=blur)
    smooth = edges.astype(np.float32)
    if blur > 0:
        smooth = gaussian_filter(smooth, blur, mode="nearest")
    labels = _basins(smooth)
    pairs, of_crossing = _neighbours(labels)
    # The ridge may lie on either side of the crossing from one pixel to the next.
    strengths = np.concatenate(
        [np.maximum(*_halves(smooth, axis))[at] for axis, at in enumerate(_crossings(labels))]
    )
    counts = np.bincount(of_crossing, minlength=len(pairs))
    totals = np.bincount(of_crossing, strengths, len(pairs)).astype(np.float64)  # int if none
    areas = np.bincount(labels.ravel())
    parents, births, sizes, outlines = _merge(pairs, totals, counts, areas, area_power)
    return Hierarchy(labels, parents, births, sizes, outlines, origin)


def _basins(smooth: Float32[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
    """The watershed of a map: the basin of each pixel, from 0, its ridges among them."""
    minima = components(local_minima(smooth, connectivity=1))
    # Pixels of one height are flooded in an order that is nobody's, and a wall would be ragged. So
    # the floors ascend, row by row, by less than the edges of any map differ.
    heights, floors = smooth.astype(np.float64), minima > 0
    heights[floors] += np.arange(np.count_nonzero(floors)) * 1e-15
    basins = flood(minima, heights, np.ones(smooth.shape, dtype=bool))
    return np.maximum(basins - 1, 0)  # a level map has no minima


def contours(hierarchy: Hierarchy | Edges | EdgeMap) -> Float32[np.ndarray, "h w"]:
    """The ultrametric contour map: where it is at most t, connected pixels are of one region at t.

    A pixel whose right or lower neighbour is of another leaf has the strength at which the two
    become one region; all others have 0.

    Args:
        hierarchy: from `build_hierarchy`, or edges as it takes them.
    """
    if not isinstance(hierarchy, Hierarchy):
        hierarchy = build_hierarchy(hierarchy)
    pairs, of_crossing = _neighbours(hierarchy.labels)
    first, second = pairs.T
    while (first != second).any():  # climb to the lowest common ancestor
        first, second = (
            np.where(first < second, hierarchy.parents[first], first),
            np.where(second < first, hierarchy.parents[second], second),
        )
    strengths = hierarchy.births[first][of_crossing].astype(np.float32)
    drawn = np.zeros(hierarchy.labels.shape, dtype=np.float32)
    down, right = _crossings(hierarchy.labels)
    for axis, at in enumerate((down, right)):
        part = _halves(drawn, axis)[0]  # a view
        mine, strengths = np.split(strengths, [np.count_nonzero(at)])
        part[at] = np.maximum(part[at], mine)
    return drawn


def _halves(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """All but the last, and all but the first, row (axis 0) or column (axis 1)."""
    return (array[:-1], array[1:]) if axis == 0 else (array[:, :-1], array[:, 1:])


def _crossings(labels: Int32[np.ndarray, "h w"]) -> list[Bool[np.ndarray, "_ _"]]:
    """True where the pixel below, and where the one to the right, is of another region."""
    return [np.not_equal(*_halves(labels, axis)) for axis in (0, 1)]


def _neighbours(
    labels: Int32[np.ndarray, "h w"],
) -> tuple[Int64[np.ndarray, "p 2"], Int64[np.ndarray, " crossings"]]:
    """Pairs of regions that touch, and the pair that each crossing is of; downward first."""
    sides = [
        np.stack([half[at] for half in _halves(labels, axis)])
        for axis, at in enumerate(_crossings(labels))
    ]
    low, high = np.sort(np.concatenate(sides, axis=1).astype(np.int64), axis=0)
    codes, of_crossing = np.unique(low * labels.size + high, return_inverse=True)
    return np.stack(np.divmod(codes, labels.size), axis=1), of_crossing


def _merge(
    pairs: Int64[np.ndarray, "p 2"],
    totals: Float64[np.ndarray, " p"],
    counts: Int64[np.ndarray, " p"],
    areas: Int64[np.ndarray, " r"],
    area_power: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a `Hierarchy` knows of its nodes; greedy, the weakest boundary first."""
    leaves, image = len(areas), int(areas.sum())
    outlines = np.bincount(pairs.ravel(), np.repeat(counts, 2), leaves).astype(np.int64).tolist()
    parents = list(range(2 * leaves - 1))
    births, sizes = [0.0] * leaves, areas.tolist()

    def strength(a: int, b: int) -> float:
        total, count = shared[a][b]
        weight: float = (min(sizes[a], sizes[b]) / image) ** area_power
        return total / count * weight

    # Of each living node: its neighbours, with the sum and the length of the boundary.
    shared: list[dict[int, tuple[float, int]]] = [{} for _ in range(leaves)]
    queue = []
    for (a, b), total, count in zip(pairs.tolist(), totals.tolist(), counts.tolist(), strict=True):
        shared[a][b] = shared[b][a] = (total, count)
        queue.append((strength(a, b), a, b))
    heapify(queue)
    while len(births) < 2 * leaves - 1:
        weakest, a, b = heappop(queue)
        if parents[a] != a or parents[b] != b:
            continue  # one of them is part of a larger node by now
        new = len(births)
        parents[a] = parents[b] = new
        births.append(max(weakest, births[-1]))  # a merge can only come after those before it
        sizes.append(sizes[a] + sizes[b])
        outlines.append(outlines[a] + outlines[b] - 2 * shared[a][b][1])
        around: dict[int, tuple[float, int]] = {}
        for old, other in ((a, b), (b, a)):
            for node, (total, count) in shared[old].items():
                if node != other:
                    before = around.get(node, (0.0, 0))
                    around[node] = (before[0] + total, before[1] + count)
                    del shared[node][old]
        shared.append(around)
        for node, boundary in around.items():
            shared[node][new] = boundary
            heappush(queue, (strength(node, new), node, new))
        shared[a], shared[b] = {}, {}
    return np.array(parents), np.array(births), np.array(sizes), np.array(outlines)
