"""What separates, and what stays connected when it is taken out of a mask."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int32
from skimage.measure import label

Mask = Bool[np.ndarray, "h w"]
Edges = Float[np.ndarray, "h w"]
Labels = Int32[np.ndarray, "h w"]


def cut_pixels(edges: Edges, threshold: float, hysteresis: float) -> Mask:
    """Where the edges separate.

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
    return continues[lines]


def components(mask: Mask) -> Labels:
    """4-connected components, numbered from 1: a diagonal line one pixel wide separates."""
    return label(mask, connectivity=1).astype(np.int32)


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
    return numbers[labels]


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
