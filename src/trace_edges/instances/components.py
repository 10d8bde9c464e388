"""The edges of one image, the pixels that separate, and the components that stay connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int32, Int64
from skimage.measure import label

from trace_edges.results import EdgeMap
from trace_edges.results.labels import plain_array

Mask = Bool[np.ndarray, "h w"]
Edges = Float[np.ndarray, "h w"]
Labels = Int32[np.ndarray, "h w"]
Origin = Literal["detector", "image-alone", "training-free", "calibrated"]
# Each pixel and the one above it, each and the one to its left.
SIDES = (np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])


def origin_of(edges: Edges | EdgeMap | Mapping[str, Any]) -> Origin:
    """What drew edges, by an `EdgeMap` or by the settings that they were made with: it decides what
    their strengths mean. Those of calibrated edges mean the same whatever drew them. Edges of which
    nothing is known are taken to be those of the default detector, which reads the image alone.
    """
    known = edges.settings if isinstance(edges, EdgeMap) else edges
    if not isinstance(known, Mapping):
        return "image-alone"
    if known.get("calibration") is not None:
        return "calibrated"
    if known.get("method") == "training-free":
        return "training-free"
    return "detector" if known.get("backbone") else "image-alone"


def edge_array(edges: Edges | EdgeMap, *, thin: bool = False) -> Edges:
    """The (h, w) edges that a function works on: of an array, a tensor or lists as they are, or
    those of an `EdgeMap`.

    Args:
        thin: take the lines of an `EdgeMap` (`thin`, to cut masks) and not its bands (`edges`,
            whose ridges close regions).

    Raises:
        ValueError: the `EdgeMap` is not of one image.
    """
    if not isinstance(edges, EdgeMap):
        return plain_array(edges)
    if len(edges) != 1:
        raise ValueError(
            f"an EdgeMap of {len(edges)} images where one is wanted; iterate: one image at a time"
        )
    array: Edges = edges.thin[0] if thin else edges.edges[0]
    return array


def check_edges(edges: Edges, size: tuple[int, ...]) -> None:
    """Refuse edges that are not of this size, or not in [0, 1].

    Raises:
        ValueError: they are not.
    """
    if edges.shape != size:
        turned = " (height and width are swapped)" if edges.shape == size[::-1] else ""
        raise ValueError(
            f"edges {edges.shape} and masks {size} must have one size{turned}: "
            "bring both to the size of the image"
        )
    if edges.size and not (edges.min() >= 0 and edges.max() <= 1):
        raise ValueError("edges must lie in [0, 1] and hold no NaN: divide 8-bit values by 255")


def cut_pixels(edges: Edges, threshold: float, hysteresis: float) -> Mask:
    """The pixels at which the edges separate.

    Args:
        edges: (h, w) in [0, 1], 1 on an edge; a smooth map, a thin one, or a drawn boundary.
        threshold: from this strength on an edge separates.
        hysteresis: down to this share of the threshold an edge separates too where it continues
            (8-connected) one that reaches the threshold; 1 for none.
    """
    strong = edges >= threshold
    lines = label(edges >= hysteresis * threshold, connectivity=2)
    continues = np.zeros(lines.max() + 1, dtype=bool)
    continues[lines[strong]] = True
    cut: Mask = continues[lines]
    return cut


def components(mask: Mask) -> Labels:
    """4-connected components, numbered from 1: a diagonal line one pixel wide separates."""
    labels: Labels = label(mask, connectivity=1).astype(np.int32)
    return labels


def bounding_box(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of a mask that has a pixel."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def by_falling_size(labels: Labels) -> Labels:
    """The same regions, numbered from 1 without a gap, the largest first; 0 stays."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    order = np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]
    numbers = np.zeros(len(areas), dtype=np.int32)
    numbers[order] = np.arange(1, len(order) + 1)
    renumbered: Labels = numbers[labels]
    return renumbered


def fragment_cores(mask: Mask, cut: Mask, close_gap: int) -> Labels:
    """Fragments of a mask without the pixels that separate, numbered from 1, 0 elsewhere.

    Where an edge has a gap of at most `close_gap` pixels the fragments on its two sides are not
    connected through it: only their cores, further away from any edge, count. A fragment with a
    single core, or too narrow for one, is numbered as a whole.
    """
    pieces = components(mask & ~cut)
    if close_gap == 0:
        return pieces
    inside = (pieces > 0) & ~grown(cut, (close_gap + 1) // 2)
    cores = components(inside)
    piece_of_core = np.zeros(cores.max() + 1, dtype=np.int32)
    piece_of_core[cores[inside]] = pieces[inside]
    split = np.bincount(piece_of_core[1:], minlength=pieces.max() + 1) > 1
    return np.where(split[pieces] | (pieces == 0), cores, pieces + cores.max())


def grown(mask: Mask, radius: int) -> Mask:
    """The mask and every pixel within `radius` rows and columns of it."""
    for across in (False, True):
        reach = mask.copy()
        source, target = (mask.T, reach.T) if across else (mask, reach)  # views
        for step in range(1, radius + 1):
            target[step:] |= source[:-step]
            target[:-step] |= source[step:]
        mask = reach
    return mask


def borders(
    labels: Labels, cut: Mask
) -> tuple[Int64[np.ndarray, "n 2"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """The borders between fragments.

    Args:
        labels: (h, w) fragments, 0 where none is.
        cut: (h, w) the pixels that separate.

    Returns:
        The two fragments of each border, the smaller number first; its length in pairs of
        4-neighbours; and how many of these pairs have a pixel that separates.
    """
    ends, separated = [], []
    for one, other in SIDES:
        a, b = labels[one], labels[other]
        met = (a != b) & (a > 0) & (b > 0)
        ends.append(np.sort(np.stack([a[met], b[met]], axis=1), axis=1))
        separated.append((cut[one] | cut[other])[met])
    pairs, place = np.unique(np.concatenate(ends), axis=0, return_inverse=True)
    place = place.ravel()  # NumPy 2.0 alone returns a column
    lengths = np.bincount(place, minlength=len(pairs))
    edges = np.bincount(place[np.concatenate(separated)], minlength=len(pairs))
    return pairs.astype(np.int64), lengths, edges
