"""Ground-truth boundaries from label maps.

Matching is one to one, so a ground truth two pixels wide halves the recall of a perfect line:
what the boundary is made of must be chosen and named with every score.
"""

from typing import get_args

import numpy as np
from jaxtyping import Bool, Integer
from scipy.ndimage import binary_dilation, distance_transform_edt
from skimage.segmentation import find_boundaries

from trace_edges.metrics.lines import thin
from trace_edges.metrics.protocol import BoundaryMode, VoidMode


def boundaries_from_labels(
    labels: Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"],
    mode: BoundaryMode = "thin",
    void: Bool[np.ndarray, "h w"] | None = None,
    void_mode: VoidMode = "edge",
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
        void: (h, w) pixels without a label.
        void_mode: what becomes of them.
            "edge" (default): void is a label of its own, its border a boundary like any other;
            "nearest": every void pixel takes the nearest label, so that a band of void between
            two objects (as around every object of PASCAL VOC) becomes one line in its middle;
            "ignore": no boundary in void or beside it; what is predicted there should not count
            either (`ignored_region`).

    Returns:
        (h, w) boundary pixels. The frame of the image is no boundary.

    Raises:
        TypeError: the labels are not integers.
        ValueError: the map or `void` is not (h, w), or a mode is unknown.
    """
    if labels.dtype != np.bool_ and not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels must be integers, not {labels.dtype}: one number per segment")
    if labels.ndim != 2:
        raise ValueError(f"labels must be one map (h, w), not {labels.shape}: decode colours first")
    if void_mode not in get_args(VoidMode):
        known = ", ".join(get_args(VoidMode))
        raise ValueError(f"unknown void mode {void_mode!r}: choose from {known}")
    if void is not None and void.shape != labels.shape:
        raise ValueError(f"void {void.shape} and labels {labels.shape} must have one size")
    if void is not None and void.any():
        if void_mode == "edge":
            labels = np.where(void, labels.max().astype(np.int64) + 1, labels)
        else:
            labels = _nearest_label(labels, void)
        if void_mode == "ignore":
            beside = binary_dilation(void, np.ones((3, 3)))
            return _boundaries(labels, mode) & ~beside
    return _boundaries(labels, mode)


def ignored_region(void: Bool[np.ndarray, "h w"], max_distance: float) -> Bool[np.ndarray, "h w"]:
    """Pixels in void or within `max_distance` pixels of it, where "ignore" counts no error."""
    void = np.asarray(void, dtype=bool)  # of 0 and 1, ~ would be something else
    if not void.any():
        return void
    return distance_transform_edt(~void) <= max_distance


def _nearest_label(
    labels: Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"], void: Bool[np.ndarray, "h w"]
) -> Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"]:
    if void.all():
        return np.zeros_like(labels)
    rows, columns = distance_transform_edt(void, return_distances=False, return_indices=True)
    return labels[rows, columns]


def _boundaries(
    labels: Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"], mode: BoundaryMode
) -> Bool[np.ndarray, "h w"]:
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
