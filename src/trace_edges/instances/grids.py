"""From masks on a grid of cells to instances at the pixels of the image."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from scipy.ndimage import binary_fill_holes, zoom

from trace_edges.instances.crf import snap_to_colours
from trace_edges.results import InstanceMasks


def instances_from_grid(
    masks: Bool[np.ndarray, "m gh gw"],
    size: tuple[int, int],
    picture: UInt8[np.ndarray, "h w 3"] | None = None,
    *,
    min_iou: float = 0.5,
    settings: Mapping[str, Any] | None = None,
) -> InstanceMasks:
    """Enlarge masks of `maskcut` or `promerge`, fill their holes, and drop what vanishes.

    Outlines are drawn halfway between the middles of cells (bilinear) rather than around cells.

    Args:
        size: (H, W) of the image.
        picture: of that size: outlines snap to its colours. None: they stay where they are.
        min_iou: of a mask before and after the colours had their say, below which it is dropped.

    Raises:
        ValueError: the picture is not of this size.
        MissingExtraError: a picture is given, and pydensecrf2 is not installed.
    """
    kept = []
    for mask in masks:
        soft = _enlarge(mask, size)
        drawn = soft > 0.5
        final = binary_fill_holes(drawn if picture is None else snap_to_colours(soft, picture))
        union = np.count_nonzero(final | drawn)
        if union and np.count_nonzero(final & drawn) >= min_iou * union:
            kept.append(final)
    found = np.array(kept, dtype=bool).reshape(-1, *size)
    return InstanceMasks(found, np.ones(len(found), dtype=np.float32), settings or {})


def _enlarge(mask: Bool[np.ndarray, "gh gw"], size: tuple[int, int]) -> np.ndarray:
    """Bilinear, (H, W) in [0, 1]; cells are areas, so the middle of the first lies inside."""
    factors = np.divide(size, mask.shape)
    return zoom(mask.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True)
