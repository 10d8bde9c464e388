"""MaskCut: one object after the other by normalised cuts of an image's grid of cells.

Wang et al., "Cut and Learn for Unsupervised Object Detection and Instance Segmentation", CVPR 2023,
after TokenCut (Wang et al., CVPR 2022), with the normalised cut of a graph in two (Shi and Malik,
PAMI 2000). Written anew from how the methods are described.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.ndimage import label
from scipy.sparse.linalg import LinearOperator, eigsh

from trace_edges.instances.grids import check_grid


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
    # In one order of memory: where cuts tie, the order of the sums would decide.
    weights = np.ascontiguousarray(np.where(affinity > threshold, 1, weak), dtype=np.float32)
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
    three or more corners of the image; else the other side is.
    """
    values = vector.reshape(grid)
    side = values > values.mean()
    seed = np.abs(values).argmax()
    if np.count_nonzero(side[[0, 0, -1, -1], [0, -1, 0, -1]]) >= 3 or not side.flat[seed]:
        values, side = -values, ~side
    parts, _ = label(side)
    part: Bool[np.ndarray, "h w"] = parts == parts.flat[values.argmax()]
    return part


def second_eigenvector(weights: Float[np.ndarray, "n n"]) -> Float64[np.ndarray, " n"]:
    """The vector that cuts a graph in two: (D - W) v = lambda D v, lambda the second smallest.

    With u = D^1/2 v this is the ordinary problem of D^-1/2 W D^-1/2, whose largest eigenvalue is 1
    with u = D^1/2 1. That one is known and taken out, so the eigenvector sought is the leading one
    and Lanczos iterations find it without a factorisation: 3600 nodes take a fraction of the time
    of the dense problem.

    Args:
        weights: (n, n) symmetric, >= 0, n >= 2. Its precision is that of the products.

    Returns:
        (n,) of length 1; the entry of largest magnitude is positive, as an eigenvector has no sign
        of its own. Equal for equal input.

    Raises:
        ValueError: the graph has fewer than two nodes, or a node without weight.
    """
    n = len(weights)
    degrees = weights.sum(axis=1, dtype=np.float64)
    if n < 2 or not (degrees > 0).all():
        raise ValueError("a graph to be cut needs two nodes or more, each with some weight")
    roots = np.sqrt(degrees)
    first = roots / np.linalg.norm(roots)

    def without_first(u: np.ndarray) -> np.ndarray:
        u = u.ravel()
        product = (weights @ (u / roots).astype(weights.dtype)) / roots
        # Shifted by 1 the eigenvalues lie in [0, 2], and the one taken out is the smallest.
        shifted: np.ndarray = product + u - (2 * (first @ u)) * first
        return shifted

    operator = LinearOperator((n, n), matvec=without_first, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(n)
    _, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=1e-6)
    vector: Float64[np.ndarray, " n"] = vectors[:, 0] / roots
    vector /= np.linalg.norm(vector)
    vector *= np.sign(vector[np.abs(vector).argmax()])
    return vector
