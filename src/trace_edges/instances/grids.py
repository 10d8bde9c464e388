"""Grids of cells: how alike the cells are, and instances at the pixels from masks of cells."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from scipy.ndimage import binary_fill_holes, zoom

from trace_edges.extras import require
from trace_edges.results import InstanceMasks

_TINY = np.finfo(np.float32).tiny
# The constants of MaskCut for the fully connected conditional random field (CRF).
_STEPS = 10
_NEAR = {"sxy": 3, "compat": 7}  # neighbours agree: reach in px, weight
_ALIKE = {"sxy": 50, "srgb": 5, "compat": 10}  # so do pixels of one colour: and reach in levels


def feature_affinity(features: Float[np.ndarray, "h w c"]) -> Float32[np.ndarray, "n n"]:
    """Cosine between the features of each two of the n = h * w cells, in [-1, 1], row-major.

    Cells without features (all zero) are alike to none.
    """
    rows = features.reshape(-1, features.shape[-1]).astype(np.float32)  # (n, c)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
    cosines: Float32[np.ndarray, "n n"] = rows @ rows.T
    return cosines


def attention_affinity(attention: Float[np.ndarray, "n n"]) -> Float32[np.ndarray, "n n"]:
    """Overlap of the places that each two of the n cells attend to, in [0, 1].

    The Bhattacharyya coefficient of two rows p and q, sum_k sqrt(p_k q_k): 1 where they are equal,
    0 where they attend to nothing in common. It is the cosine between their roots.

    Args:
        attention: SA(X_t), rows that sum to 1.
    """
    return feature_affinity(np.sqrt(attention)[None])


def centred_affinity(affinity: Float[np.ndarray, "n n"]) -> Float32[np.ndarray, "n n"]:
    """Take the mean of all cells off the features behind an affinity of cosines.

    Cells that share less than most then come below 0, as `promerge` expects it of unlike cells; the
    Bhattacharyya coefficient has no negative values by itself.
    """
    means = affinity.mean(axis=0, dtype=np.float64)
    centred = affinity - means - means[:, None] + means.mean()
    norms = np.sqrt(np.maximum(centred.diagonal(), _TINY))
    scaled: Float32[np.ndarray, "n n"] = (centred / norms / norms[:, None]).astype(np.float32)
    return scaled


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


def instances_from_grid(
    masks: Bool[np.ndarray, "m gh gw"],
    size: tuple[int, int],
    image: UInt8[np.ndarray, "h w 3"] | None = None,
    *,
    min_iou: float = 0.5,
    settings: Mapping[str, Any] | None = None,
) -> InstanceMasks:
    """Enlarge masks of `maskcut` or `promerge`, fill their holes, and drop what vanishes.

    Outlines are drawn halfway between the middles of cells (bilinear) rather than around cells.

    Args:
        size: (H, W) of the image.
        image: of that size: outlines snap to its colours. None: they stay where they are.
        min_iou: of a mask before and after snapping, below which it is dropped.

    Raises:
        ValueError: the image is not of this size.
        MissingExtraError: an image is given, and pydensecrf2 is not installed.
    """
    kept = []
    for mask in masks:
        soft = _enlarge(mask, size)
        drawn = soft > 0.5
        final = binary_fill_holes(drawn if image is None else snap_to_colours(soft, image))
        union = np.count_nonzero(final | drawn)
        if union and np.count_nonzero(final & drawn) >= min_iou * union:
            kept.append(final)
    found = np.array(kept, dtype=bool).reshape(-1, *size)
    return InstanceMasks(found, np.ones(len(found), dtype=np.float32), settings or {})


def snap_to_colours(
    mask: Float[np.ndarray, "h w"], image: UInt8[np.ndarray, "h w 3"]
) -> Bool[np.ndarray, "h w"]:
    """Move the outline of a mask to the colours of an image, by a fully connected CRF.

    Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
    Potentials" (NeurIPS 2011). Needs pydensecrf2.

    Args:
        mask: in [0, 1], how surely a pixel is of the object.

    Raises:
        ValueError: mask and image have different sizes.
        MissingExtraError: pydensecrf2 is not installed.
    """
    if mask.shape != image.shape[:2]:
        raise ValueError(f"a mask of {mask.shape} does not lie on an image of {image.shape[:2]}")
    library = require("pydensecrf.densecrf", "crf", "pydensecrf2")
    height, width = mask.shape
    # The softmax of (1 - m, m), as energies: a mask is a hint, never certain.
    margin = (2 * mask.astype(np.float32) - 1).ravel()
    energies = np.logaddexp(0, np.stack([margin, -margin]))  # (2, h * w)
    field = library.DenseCRF2D(width, height, 2)
    field.setUnaryEnergy(np.ascontiguousarray(energies, dtype=np.float32))
    field.addPairwiseGaussian(**_NEAR)
    field.addPairwiseBilateral(**_ALIKE, rgbim=np.ascontiguousarray(image))
    chances = np.array(field.inference(_STEPS)).reshape(2, height, width)
    inside: Bool[np.ndarray, "h w"] = chances[1] > chances[0]
    return inside


def _enlarge(mask: Bool[np.ndarray, "gh gw"], size: tuple[int, int]) -> np.ndarray:
    """Enlarge to (H, W) in [0, 1], bilinear; cells are areas: the middle of the first is inside."""
    factors = np.divide(size, mask.shape)
    large: np.ndarray = zoom(
        mask.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True
    )
    return large
