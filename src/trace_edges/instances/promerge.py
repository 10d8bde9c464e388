"""ProMerge: many seeds, each with the cells alike to it, filtered and merged into objects.

Li and Shin, "ProMerge: Prompt and Merge for Unsupervised Instance Segmentation" (ECCV 2024).
Written anew from how the method is described.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import label

from trace_edges.instances.grids import check_grid

Cells = Bool[np.ndarray, " n"]
_TINY = np.finfo(np.float64).tiny


def promerge(
    affinity: Float[np.ndarray, "n n"],
    grid: tuple[int, int],
    *,
    stride: int = 4,
    threshold: float = 0.2,
    min_part: float = 0.5,
    min_background: float = 0.1,
    max_on_background: float = 0.8,
    max_background_likeness: float = 0.1,
    min_inside: float = 0.5,
    min_touching: float = 0.1,
    min_likeness: float = 0.1,
) -> Bool[np.ndarray, "m h w"]:
    """Objects as merged neighbourhoods of a lattice of seeds; none where no background is found.

    Likeness is the mean affinity of the cells of one mask to those of another. The defaults are the
    paper's, for the keys of DINO. Self-attention has no negative affinities: for it take
    `centred_affinity(attention_affinity(...))`, threshold 0.05, max_background_likeness 0.4 and, on
    a grid of about 32 x 32, stride 2.

    Args:
        affinity: how alike each two cells are, row-major; symmetric.
        grid: (h, w) with n = h * w.
        stride: of the seeds, in cells.
        threshold: cells more alike than this to a seed are its mask.
        min_part: parts of a mask count down to this share of the part with the seed.
        min_background: share of the grid below which there is no background, and no object.
        max_on_background: share of a mask's new cells on the background from which it is dropped.
        max_background_likeness: to the background, over the root of their likenesses to
            themselves, from which a mask is dropped.
        min_inside: share of a mask inside an object that makes it part of it.
        min_touching: the share that does where the two are at least `min_likeness` alike.

    Raises:
        ValueError: the grid does not have the cells of `affinity`.
    """
    check_grid(affinity, grid)
    votes, found = _neighbourhoods(affinity > threshold, grid, stride, min_part)
    background = np.mean(votes, axis=0) > 0.5 if votes else np.zeros(len(affinity), dtype=bool)
    if not found or not background.any() or background.mean() < min_background:
        return np.zeros((0, *grid), dtype=bool)
    masks = np.unique(found, axis=0)  # many seeds find the same
    masks = masks[np.argsort(masks.sum(axis=1), kind="stable")]  # the smallest first

    shares = np.concatenate([masks, background[None]]).astype(affinity.dtype)
    shares /= shares.sum(axis=1, keepdims=True)  # (m + 1, n), each sums to 1
    reach = shares @ affinity  # mean affinity of each cell to each mask
    own = np.einsum("mn,mn->m", reach, shares)
    to_background = (reach[:-1] @ shares[-1]) / np.sqrt(np.maximum(own[:-1] * own[-1], _TINY))

    union = np.zeros(len(affinity), dtype=bool)
    kept: list[int] = []
    for index in np.flatnonzero(to_background < max_background_likeness).tolist():
        new = masks[index] & ~union
        if np.count_nonzero(new & background) < max_on_background * np.count_nonzero(new):
            kept.append(index)
            union |= new

    objects: list[Cells] = []
    for index in reversed(kept):  # the largest first
        mask, apart = masks[index], []
        merged = mask
        for cells in objects:
            inside = np.count_nonzero(cells & mask) / np.count_nonzero(mask)
            alike = reach[index, cells].mean() >= min_likeness
            if inside > min_inside or (inside > min_touching and alike):
                merged = merged | cells
            else:
                apart.append(cells)
        objects = [*apart, merged]
    return np.array(objects, dtype=bool).reshape(-1, *grid)


def _neighbourhoods(
    alike: Bool[np.ndarray, "n n"], grid: tuple[int, int], stride: int, min_part: float
) -> tuple[list[Cells], list[Cells]]:
    """Masks of the seeds that may be background, and the parts of the others."""
    h, w = grid
    votes, found = [], []
    for seed in np.arange(h * w).reshape(grid)[stride // 2 :: stride, stride // 2 :: stride].flat:
        mask = alike[seed].reshape(grid)
        if sum(side.mean() > 0.5 for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1])) > 1:
            votes.append(mask.ravel())
            continue
        parts, _ = label(mask)
        sizes = np.bincount(parts.ravel())
        least = min_part * sizes[parts.flat[seed]]
        found += [parts.ravel() == part for part in range(1, len(sizes)) if sizes[part] >= least]
    return votes, found
