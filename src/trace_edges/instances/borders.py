"""Fragments that touch become one where the border between them is mostly no edge."""

from __future__ import annotations

import heapq

import numpy as np
from jaxtyping import Int64

from trace_edges.instances.components import Labels, Mask

_BELOW, _ABOVE = np.s_[1:, :], np.s_[:-1, :]
_RIGHT, _LEFT = np.s_[:, 1:], np.s_[:, :-1]


def borders(
    labels: Labels, cut: Mask
) -> tuple[Int64[np.ndarray, "n 2"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Borders between fragments.

    Args:
        labels: (h, w) fragments, 0 where none is.
        cut: (h, w) the pixels that separate.

    Returns:
        The two fragments of each border, the smaller number first; its length in pairs of
        4-neighbours; and how many of these pairs have a pixel that separates.
    """
    ends, separated = [], []
    for one, other in ((_BELOW, _ABOVE), (_RIGHT, _LEFT)):
        a, b = labels[one], labels[other]
        met = (a != b) & (a > 0) & (b > 0)
        ends.append(np.sort(np.stack([a[met], b[met]], axis=1), axis=1))
        separated.append((cut[one] | cut[other])[met])
    pairs, place = np.unique(np.concatenate(ends), axis=0, return_inverse=True)
    place = place.ravel()  # NumPy 2.0 alone returns a column
    lengths = np.bincount(place, minlength=len(pairs))
    edges = np.bincount(place[np.concatenate(separated)], minlength=len(pairs))
    return pairs.astype(np.int64), lengths, edges


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
    return owner[labels]
