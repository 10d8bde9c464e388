"""Instances from the tree of regions that the edges close: no source of masks is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Int64
from scipy.ndimage import find_objects

from trace_edges.instances.components import Edges
from trace_edges.instances.hierarchy import Hierarchy, build_hierarchy
from trace_edges.results import EdgeMap, InstanceMasks

Nodes = Int64[np.ndarray, "_"]

Aim = Literal["objects", "areas"]

# Where regions find most things of photographs, and where they cover all true segments best
# (`benchmarks.masks.regions`): those of a detector's edges, which are expected strengths and so
# lower, and of E / (E + 1 nat) itself.
_STRENGTHS: dict[str, tuple[float, float]] = {"objects": (0.05, 0.15), "areas": (0.125, 0.25)}
STRENGTH = _STRENGTHS["objects"][0]


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
            one, which is higher for an EdgeMap that says that the training-free method made it.
        find: what the usual strength was chosen for. "objects": most things are found, among many
            small regions. "areas": few regions, which cover things and background best.
        min_area: share of the image in [0, 1]; smaller regions are left out.

    Returns:
        Masks of (h, w) by falling area; a score in [0, 1] is the strength at which the region
        merges with another.

    Raises:
        ValueError: `edges` is not a map in [0, 1], or has several images; a strength is not in
            [0, 1]; or there is no such aim.
    """
    if strength is None:
        method = edges.settings.get("method") if isinstance(edges, EdgeMap) else None
        strength = usual_strength(find, training_free=method == "training-free")
    return instances_at(build_hierarchy(edges), strength, min_area=min_area)


def usual_strength(find: Aim = "objects", *, training_free: bool) -> float:
    """The strength that is taken where none is given."""
    if find not in get_args(Aim):
        raise ValueError(f"find must be one of {', '.join(get_args(Aim))}, not {find!r}")
    return _STRENGTHS[find][training_free]


def instances_at(
    tree: Hierarchy, strength: float | Sequence[float] = STRENGTH, *, min_area: float = 0.0
) -> InstanceMasks:
    """The regions left when all boundaries of up to `strength` are removed.

    Args:
        strength: one, or several: levels, whose regions are alternatives. One that is a region of
            several levels is returned once.
        min_area: share of the image below which a region is left out; with 0 every pixel belongs
            to one.

    Returns:
        Masks by falling area; a score is the strength at which the region merges with another.
    """
    levels = np.atleast_1d(np.asarray(strength, dtype=np.float64))
    if odd := [level for level in levels.tolist() if not 0 <= level <= 1]:
        raise ValueError(f"strength must lie in [0, 1], not {odd[0]:g}")
    if not len(levels):
        raise ValueError("no strength is given: give one, or several levels")
    nodes = np.concatenate([tree.nodes_at(level) for level in levels])
    given = strength if np.ndim(strength) == 0 else levels.tolist()
    settings = {"source": "edges", "strength": given, "min_area": min_area}
    return _instances(tree, _large(tree, nodes, min_area), settings)


def instances_of_count(tree: Hierarchy, count: int, *, min_area: float = 0.0) -> InstanceMasks:
    """The last `count` regions that merging leaves; else as `instances_at`.

    Raises:
        ValueError: the edges do not close so many regions.
    """
    settings = {"source": "edges", "count": count, "min_area": min_area}
    return _instances(tree, _large(tree, tree.nodes_of_count(count), min_area), settings)


def proposals(
    tree: Hierarchy, *, limit: int = 100, max_iou: float = 0.9, min_area: float = 0.0
) -> InstanceMasks:
    """The best regions of all strengths, which overlap: what average recall and precision ask for.

    A region's score is the strength at which it merges with another. The whole image is none.

    Args:
        limit: the most regions.
        max_iou: with a better region, above which a region is left out.
        min_area: share of the image below which a region is left out.

    Returns:
        Masks by falling score; of equal ones the larger first.
    """
    nodes = _large(tree, np.arange(len(tree.parents) - 1), min_area)
    ranked = nodes[np.argsort(-tree.deaths[nodes], kind="stable")]
    settings = {"source": "edges", "limit": limit, "max_iou": max_iou, "min_area": min_area}
    return _instances(tree, _distinct(tree, ranked, limit, max_iou), settings)


def _large(tree: Hierarchy, nodes: Nodes, min_area: float) -> Nodes:
    """Those of at least this share of the image, once each, by falling area."""
    nodes = np.unique(nodes)
    nodes = nodes[tree.areas[nodes] >= min_area * tree.labels.size]
    return nodes[np.argsort(-tree.areas[nodes], kind="stable")]


def _distinct(tree: Hierarchy, ranked: Nodes, limit: int, max_iou: float) -> Nodes:
    """The first `limit` of the nodes that are not nearly the same as one before.

    Two nodes of a tree are disjoint, or one lies in the other and their IoU is the ratio of their
    areas. A node is ranked after every node that holds it (none of these is merged earlier, and all
    are larger), so only its nearest ancestors can be too like it.
    """
    kept: dict[int, None] = {}  # a set in the order of ranks
    for node in ranked.tolist():
        if len(kept) == limit:
            break
        filled: set[int] = set()  # the ancestors that it nearly fills
        above = int(tree.parents[node])
        while above not in filled and tree.areas[node] > max_iou * tree.areas[above]:
            filled.add(above)
            above = int(tree.parents[above])
        if not any(above in kept for above in filled):
            kept[node] = None
    return np.array(list(kept), dtype=np.int64)


def _instances(tree: Hierarchy, nodes: Nodes, settings: dict[str, Any]) -> InstanceMasks:
    boxes, first, last, rank = _places(tree)
    windows, crops = [], []
    for node in nodes.tolist():
        top, left, bottom, right = boxes[node].tolist()
        windows.append((slice(top, bottom), slice(left, right)))
        ranks = rank[tree.labels[windows[-1]]]
        crops.append((ranks >= first[node]) & (ranks < last[node]))
    return InstanceMasks.cropped(windows, crops, tree.labels.shape, tree.deaths[nodes], settings)


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
