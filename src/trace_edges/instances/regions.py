"""Instances from the tree of regions that the edges close: no source of masks is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.ndimage import find_objects

from trace_edges.checks import check_within
from trace_edges.instances.components import Edges, Origin
from trace_edges.instances.hierarchy import Hierarchy, build_hierarchy
from trace_edges.instances.scores import node_scores
from trace_edges.results import EdgeMap, InstanceMasks

Nodes = Int64[np.ndarray, "_"]

Aim = Literal["objects", "areas"]

# Where regions find most things of photographs, and where they cover all true segments best
# (`benchmarks.masks.regions`), by what drew the edges: a detector, whose strengths are expected
# ones and so lower than E / (E + 1 nat) itself, or one that reads the image alone.
_STRENGTHS: dict[Origin, dict[str, float]] = {
    "detector": {"objects": 0.05, "areas": 0.125},
    "image-alone": {"objects": 0.08, "areas": 0.3},
    "training-free": {"objects": 0.15, "areas": 0.25},
    "calibrated": {"objects": 0.07, "areas": 0.15},
}


def instances_from_edges(
    edges: Edges | EdgeMap,
    strength: float | Sequence[float] | None = None,
    *,
    find: Aim = "objects",
    min_area: float = 0.0,
) -> InstanceMasks:
    """Find the regions that edges enclose, without masks (section 3.5).

    Args:
        edges: (h, w) in [0, 1], smooth. Of an `EdgeMap` of one image, its `edges`, not `thin`.
        strength: boundaries up to it are removed; several strengths are levels. None: the usual
            one of what an EdgeMap says that it was made by, or else of the default detector.
        find: what the usual strength was chosen for. "objects": most things are found, among many
            small regions. "areas": few regions, which cover things and background best.
        min_area: share of the image in [0, 1]; smaller regions are left out.

    Returns:
        Masks of (h, w) by falling area; a score in [0, 1] is the estimated probability that the
        region has an IoU of at least 0.5 with a thing.

    Raises:
        ValueError: `edges` is not a map in [0, 1], or has several images; a strength or `min_area`
            is not in [0, 1]; or there is no such aim.
    """
    tree = build_hierarchy(edges)
    chosen = usual_strength(find, tree.origin) if strength is None else strength
    return instances_at(tree, chosen, min_area=min_area)


def usual_strength(find: Aim = "objects", origin: Origin = "image-alone") -> float:
    """The strength that is taken where none is given."""
    if find not in get_args(Aim):
        raise ValueError(f"find must be one of {', '.join(get_args(Aim))}, not {find!r}")
    return _STRENGTHS[origin][find]


def usual_levels(count: int, origin: Origin = "image-alone") -> list[float]:
    """So many strengths, from that for objects to that for areas, each the same number of times the
    one before.
    """
    low, high = (_STRENGTHS[origin][aim] for aim in ("objects", "areas"))
    return [round(float(level), 4) for level in np.geomspace(low, high, count)]


def instances_at(
    tree: Hierarchy, strength: float | Sequence[float], *, min_area: float = 0.0
) -> InstanceMasks:
    """The regions left when all boundaries of up to `strength` are removed.

    Args:
        strength: one, or several: levels, whose regions are alternatives. One that is a region of
            several levels is returned once.
        min_area: share of the image below which a region is left out; with 0 every pixel belongs
            to one.

    Returns:
        Masks by falling area, with scores as of `instances_from_edges`.
    """
    levels = np.atleast_1d(np.asarray(strength, dtype=np.float64))
    for level in levels.tolist():
        check_within(0, 1, strength=level)
    if not len(levels):
        raise ValueError("no strength is given: give one, or several levels")
    nodes = np.concatenate([tree.nodes_at(level) for level in levels])
    given = strength if np.ndim(strength) == 0 else levels.tolist()
    settings = {"source": "edges", "strength": given, "min_area": min_area}
    return masks_of_nodes(tree, _large(tree, nodes, min_area), node_scores(tree), settings)


def instances_of_count(tree: Hierarchy, count: int, *, min_area: float = 0.0) -> InstanceMasks:
    """The last `count` regions that merging leaves; else as `instances_at`.

    Raises:
        ValueError: the edges do not close so many regions.
    """
    settings = {"source": "edges", "count": count, "min_area": min_area}
    nodes = _large(tree, tree.nodes_of_count(count), min_area)
    return masks_of_nodes(tree, nodes, node_scores(tree), settings)


def is_ground(masks: InstanceMasks, max_area: float = 0.5) -> Bool[np.ndarray, " n"]:
    """Which masks are ground, sky or walls by their place: they touch at least three sides of the
    image, or cover more than `max_area` of it.
    """
    height, width = masks.shape
    sides = (masks.boxes == [0, 0, width, height]).sum(axis=1)
    ground: Bool[np.ndarray, " n"] = (sides >= 3) | (masks.areas > max_area * height * width)
    return ground


def _large(tree: Hierarchy, nodes: Nodes, min_area: float) -> Nodes:
    """Those of at least this share of the image, once each, by falling area."""
    check_within(0, 1, min_area=min_area)
    nodes = np.unique(nodes)
    nodes = nodes[tree.areas[nodes] >= min_area * tree.labels.size]
    return nodes[np.argsort(-tree.areas[nodes], kind="stable")]


def masks_of_nodes(
    tree: Hierarchy,
    nodes: Nodes,
    scores: Float64[np.ndarray, " nodes"],
    settings: dict[str, Any],
) -> InstanceMasks:
    """The regions of these nodes, in their order, with their `scores` of those of all nodes."""
    boxes, first, last, rank = _places(tree)
    windows, crops = [], []
    for node in nodes.tolist():
        top, left, bottom, right = boxes[node].tolist()
        windows.append((slice(top, bottom), slice(left, right)))
        ranks = rank[tree.labels[windows[-1]]]
        crops.append((ranks >= first[node]) & (ranks < last[node]))
    return InstanceMasks.cropped(windows, crops, tree.labels.shape, scores[nodes], settings)


def _places(tree: Hierarchy) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where nodes lie: boxes (top, left, bottom, right) of all nodes; and an order of the leaves in
    which those of a node follow each other, as the first and behind the last of each node, with
    the place of each leaf.
    """
    parents, leaves = tree.parents.tolist(), tree.leaves
    ends = [(r.start, c.start, -r.stop, -c.stop) for r, c in find_objects(tree.labels + 1)]
    low = np.array(ends + [ends[0]] * (leaves - 1))  # stops are negative: the least is the furthest
    low[leaves:] = np.iinfo(low.dtype).max
    counts = np.array([1] * leaves + [0] * (leaves - 1))
    for node, parent in enumerate(parents[:-1]):  # children come before their parents
        low[parent] = np.minimum(low[parent], low[node])
        counts[parent] += counts[node]
    first, free = np.zeros_like(counts), np.zeros_like(counts)
    for node in range(len(parents) - 2, -1, -1):
        parent = parents[node]
        first[node] = free[node] = free[parent]
        free[parent] += counts[node]
    return low * [1, 1, -1, -1], first, first + counts, first[:leaves]
