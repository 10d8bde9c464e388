"""MaskCut: one object after the other by normalised cuts of a picture's grid.

Wang et al., "Cut and Learn for Unsupervised Object Detection and Instance Segmentation", CVPR 2023,
after TokenCut (Wang et al., CVPR 2022). Written anew from how the method is described.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.ndimage import label

from trace_edges.instances.affinity import check_grid
from trace_edges.instances.ncut import second_eigenvector


def maskcut(
    affinity: Float[np.ndarray, "n n"],
    grid: tuple[int, int],
    *,
    masks: int = 3,
    threshold: float = 0.15,
    weak: float = 1e-5,
    min_area: float = 0.01,
    max_iou: float = 0.5,
) -> Bool[np.ndarray, "m h w"]:
    """Up to `masks` objects, found one after the other; what was found is cut off.

    Args:
        affinity: how alike each two cells are, row-major; symmetric.
        grid: (h, w) with n = h * w.
        threshold: cells more alike than this are joined with weight 1, others with `weak`. The
            paper's value is for the keys of DINO; `attention_affinity` wants 0.6.
        min_area: share of the grid above which a mask but the first counts.
        max_iou: with the mask before, up to which a mask counts. Where one does not count the
            search ends: nothing new was cut off, so the next cut would be the same.

    Raises:
        ValueError: the grid does not have the cells of `affinity`.
    """
    check_grid(affinity, grid)
    weights = np.where(affinity > threshold, 1, weak).astype(np.float32)
    found: list[np.ndarray] = []
    while len(found) < masks:
        mask = salient_half(second_eigenvector(weights), grid)
        if found:
            shared = np.count_nonzero(mask & found[-1]) / np.count_nonzero(mask | found[-1])
            if shared > max_iou or np.count_nonzero(mask) <= min_area * mask.size:
                break
        found.append(mask)
        weights[mask.ravel()] = weights[:, mask.ravel()] = weak
    objects = np.array(found)  # (m, h, w)
    objects &= np.cumsum(objects, axis=0) == 1  # a cell is of the first mask it is in
    return objects[objects.any(axis=(1, 2))]


def salient_half(
    vector: Float64[np.ndarray, " n"], grid: tuple[int, int]
) -> Bool[np.ndarray, "h w"]:
    """The side of a cut that holds the object, and of it the part around its strongest cell.

    The side above the mean is the object's if the strongest cell lies in it and it does not hold
    three or more corners of the picture; else the other side is.
    """
    values = vector.reshape(grid)
    side = values > values.mean()
    seed = np.abs(values).argmax()
    if np.count_nonzero(side[[0, 0, -1, -1], [0, -1, 0, -1]]) >= 3 or not side.flat[seed]:
        values, side = -values, ~side
    parts, _ = label(side)
    return parts == parts.flat[values.argmax()]
