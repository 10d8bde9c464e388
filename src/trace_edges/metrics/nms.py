"""Non-maximum suppression of smooth edge maps, before a benchmark that expects lines."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates

_SMOOTHING = 2.0  # px: the direction of an edge is taken from its surroundings, not from a pixel
_MARGIN = 1.01  # how much larger a neighbour must be, so that plateaus stay


def suppress_non_maxima(strength: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Keep what no neighbour across the edge exceeds by more than 1 %; the rest becomes 0.

    The direction across the edge is the one of strongest curvature of the smoothed map.
    Neighbours lie one pixel away on either side, interpolated; near the frame they are repeated.
    The idea is that of the Structured Edge Detection Toolbox (Dollar and Zitnick, PAMI 2015),
    written anew: its numbers differ slightly.

    Args:
        strength: (h, w) in [0, 1].

    Returns:
        (h, w) the same values on the ridges, 0 elsewhere.
    """
    smooth = strength.astype(np.float64)
    rr, cc, rc = (
        gaussian_filter(smooth, _SMOOTHING, order=order) for order in ((2, 0), (0, 2), (1, 1))
    )
    # The eigenvector of [[rr, rc], [rc, cc]] to the eigenvalue of larger magnitude: on a ridge the
    # negative one, on a foot of the ridge the positive one, and across the edge in both cases.
    angle = np.arctan2(2 * rc, rr - cc) / 2 + np.where(rr + cc < 0, np.pi / 2, 0)
    step = np.stack([np.cos(angle), np.sin(angle)])  # (2, h, w), rows and columns
    place = np.mgrid[: strength.shape[0], : strength.shape[1]]
    across = [
        map_coordinates(strength, place + sign * step, order=1, mode="nearest") for sign in (1, -1)
    ]
    ridge = np.maximum(*across) <= strength * _MARGIN
    return np.where(ridge, strength, np.zeros_like(strength))
