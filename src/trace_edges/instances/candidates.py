"""Candidates for things: the best regions of all strengths, which overlap.

A partition gives every pixel to one region, so it holds a thing or its parts but not both. Whoever
corrects masks, and SAM, choose better among alternatives: here every node of the tree competes, as
in the proposals of Arbelaez et al., "Multiscale Combinatorial Grouping" (CVPR 2014), without their
combinations of several regions.
"""

from __future__ import annotations

import numpy as np

from trace_edges.checks import check_within
from trace_edges.instances.components import Edges
from trace_edges.instances.hierarchy import Hierarchy, build_hierarchy
from trace_edges.instances.regions import Nodes, masks_of_nodes
from trace_edges.instances.scores import node_scores
from trace_edges.results import EdgeMap, InstanceMasks

TOP_K = 100


def candidates_from_edges(
    edges: Hierarchy | Edges | EdgeMap,
    *,
    top_k: int = TOP_K,
    min_score: float = 0.0,
    max_iou: float = 0.75,
    min_area: float = 0.0,
) -> InstanceMasks:
    """Find the regions of all strengths that look most like things; they overlap.

    Args:
        edges: (h, w) in [0, 1], smooth; of an `EdgeMap` of one image, its `edges`; or the tree that
            `build_hierarchy` made of them.
        top_k: the most candidates. The whole image is none.
        min_score: candidates with a lower score are left out.
        max_iou: with a better candidate, above which a region is left out.
        min_area: share of the image in [0, 1] below which a region is left out.

    Returns:
        Masks of (h, w) by falling score: the estimated probability that a mask has an IoU of at
        least 0.5 with a thing.

    Raises:
        ValueError: `edges` is not a map in [0, 1], or has several images; `top_k` is less than 1,
            or another number is not in [0, 1].
    """
    check_within(1, np.inf, top_k=top_k)
    check_within(0, 1, min_score=min_score, max_iou=max_iou, min_area=min_area)
    tree = edges if isinstance(edges, Hierarchy) else build_hierarchy(edges)
    scores = node_scores(tree)
    fits = (tree.areas >= min_area * tree.labels.size) & (scores >= min_score)
    nodes = np.flatnonzero(fits[:-1])
    ranked = nodes[np.lexsort((-tree.areas[nodes], -scores[nodes]))]
    settings = {"source": "edges", "top_k": top_k, "min_score": min_score, "max_iou": max_iou}
    kept = distinct_nodes(tree, ranked, top_k, max_iou)
    return masks_of_nodes(tree, kept, scores, settings | {"min_area": min_area})


def distinct_nodes(tree: Hierarchy, ranked: Nodes, top_k: int, max_iou: float) -> Nodes:
    """The first `top_k` of the nodes that are not nearly the same as one before.

    Two nodes of a tree are disjoint, or one lies in the other and their IoU is the ratio of their
    areas. So a node that is kept rules out the nearest that hold it, and the largest in it.
    """
    parents, areas, leaves = tree.parents.tolist(), tree.areas.tolist(), tree.leaves
    children = np.argsort(tree.parents[:-1], kind="stable").reshape(-1, 2).tolist()
    kept: list[int] = []
    ruled_out: set[int] = set()
    for node in ranked.tolist():
        if len(kept) == top_k:
            break
        if node in ruled_out:
            continue
        kept.append(node)
        above = parents[node]
        while above not in ruled_out and areas[node] > max_iou * areas[above]:
            ruled_out.add(above)
            above = parents[above]
        inside = [node]
        while inside:
            if (one := inside.pop()) >= leaves:
                large = [c for c in children[one - leaves] if areas[c] > max_iou * areas[node]]
                ruled_out.update(large)
                inside += large
    return np.array(kept, dtype=np.int64)
