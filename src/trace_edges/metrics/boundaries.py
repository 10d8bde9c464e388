"""Ground-truth boundaries from label maps.

Matching is one to one, so a ground truth two pixels wide halves the recall of a perfect line:
what the boundary is made of must be chosen and named with every score.
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Integer
from skimage.segmentation import find_boundaries

from trace_edges.metrics.thinning import thin

BoundaryMode = Literal["thin", "right_down", "inner", "thick"]


def boundaries_from_labels(
    labels: Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"], mode: BoundaryMode = "thin"
) -> Bool[np.ndarray, "h w"]:
    """The pixels where a label map changes.

    Args:
        labels: (h, w) integers or booleans. Every distinct value is a label, void too, except
            in mode "inner".
        mode: how wide the boundary is, and on which side.
            "thin" (default): "right_down" thinned to lines of one pixel, so that a perfect
            prediction scores 1 after the benchmark's own thinning;
            "right_down": pixels that differ from their right or lower neighbour;
            "inner": pixels of a segment that touch another label; 0 is background and holds
            no boundary (`skimage.segmentation.find_boundaries`);
            "thick": pixels on either side of a change.

    Returns:
        (h, w) boundary pixels. The frame of the image is no boundary.

    Raises:
        TypeError: the labels are not integers.
        ValueError: the map is not (h, w), or the mode is unknown.
    """
    if labels.dtype != np.bool_ and not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels must be integers, not {labels.dtype}: one number per segment")
    if labels.ndim != 2:
        raise ValueError(f"labels must be one map (h, w), not {labels.shape}: decode colours first")
    match mode:
        case "thin":
            return thin(_right_down(labels))
        case "right_down":
            return _right_down(labels)
        case "inner" | "thick":
            return find_boundaries(labels, mode=mode, connectivity=1, background=0)
    raise ValueError(
        f"unknown boundary mode {mode!r}: choose from {', '.join(get_args(BoundaryMode))}"
    )


def _right_down(
    labels: Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"],
) -> Bool[np.ndarray, "h w"]:
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1] |= labels[:-1] != labels[1:]
    return edges
