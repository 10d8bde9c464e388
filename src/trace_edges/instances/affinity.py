"""How alike the cells of a grid are, from features or from self-attention."""

import numpy as np
from jaxtyping import Float, Float32

_TINY = np.finfo(np.float32).tiny


def feature_affinity(features: Float[np.ndarray, "h w c"]) -> Float32[np.ndarray, "n n"]:
    """Cosine between the features of each two of the n = h * w cells, in [-1, 1], row-major.

    Cells without features (all zero) are alike to none.
    """
    rows = features.reshape(-1, features.shape[-1]).astype(np.float32)  # (n, c)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
    return rows @ rows.T


def attention_affinity(attention: Float[np.ndarray, "n n"]) -> Float32[np.ndarray, "n n"]:
    """How far each two of the n cells attend to the same places, in [0, 1].

    The Bhattacharyya coefficient of two rows p and q, sum_k sqrt(p_k q_k): 1 where they are equal,
    0 where they attend to nothing in common. It is the cosine between their roots.

    Args:
        attention: SA(X_t), rows that sum to 1.
    """
    return feature_affinity(np.sqrt(attention)[None])


def centred_affinity(affinity: Float[np.ndarray, "n n"]) -> Float32[np.ndarray, "n n"]:
    """What an affinity of cosines becomes when the mean of all cells is taken off their features.

    Cells that share less than most then come below 0, as `promerge` expects it of unlike cells; the
    Bhattacharyya coefficient has no negative values by itself.
    """
    means = affinity.mean(axis=0, dtype=np.float64)
    centred = affinity - means - means[:, None] + means.mean()
    norms = np.sqrt(np.maximum(centred.diagonal(), _TINY))
    return (centred / norms / norms[:, None]).astype(np.float32)


def check_grid(affinity: Float[np.ndarray, "n m"], grid: tuple[int, int]) -> None:
    """Refuse an affinity that is not one of all cells of a grid of (h, w).

    Raises:
        ValueError: it is of another shape.
    """
    cells = grid[0] * grid[1]
    if affinity.shape != (cells, cells):
        raise ValueError(
            f"a grid of {grid[0]} x {grid[1]} cells needs an affinity of {(cells, cells)}, "
            f"not {affinity.shape}"
        )
