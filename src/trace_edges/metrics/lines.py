"""Lines of one pixel from thick or smooth maps, as an edge benchmark wants them.

`thin` removes what MATLAB's `bwmorph(map, 'thin', Inf)` does. A benchmark thins every prediction at
every threshold, which with scikit-image takes longer than the matching: `thin_numba` removes the
same pixels as `skimage.morphology.thin`, but goes through the remaining foreground only, where
scikit-image filters the whole image anew each time. `suppress_non_maxima` makes lines of a smooth
map before the first threshold.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from scipy.ndimage import correlate1d, gaussian_filter, map_coordinates
from skimage.morphology import thin as thin_skimage

Map = Bool[np.ndarray, "h w"]

_SMOOTHING = 2.0  # px: the direction of an edge is taken from its surroundings, not from a pixel
_TOOLBOX_RADIUS = 4  # px, of the triangle by which the toolbox smooths before it takes directions
_FADE = 5  # px
_MARGIN = 1.01  # how much larger a neighbour must be, so that plateaus stay


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled at its first call for the types it is called with.

    Raises:
        ImportError: numba is not installed (`pip install "trace-edges[eval]"`).
    """
    from numba import njit

    try:
        return njit(cache=True)(function)
    except RuntimeError:  # nowhere to write the cache: compile for this process only
        return njit(function)


def thin(edges: Map) -> Map:
    """The map thinned until nothing changes; with numba where it is installed.

    Args:
        edges: (h, w) foreground pixels.
    """
    if importlib.util.find_spec("numba") is None:
        return thin_skimage(edges)
    return thin_numba(edges)


def thin_numba(edges: Map) -> Map:
    """`thin` by compiled passes over the foreground; needs numba."""
    framed = np.ascontiguousarray(np.pad(edges, 1), dtype=np.uint8)  # ravel() has to be a view
    width = framed.shape[1]
    # Neighbours in the order of the paper: E, NE, N, NW, W, SW, S, SE.
    around = np.array([1, 1 - width, -width, -1 - width, -1, width - 1, width, width + 1])
    compiled(_thin_in_place)(framed.ravel(), np.flatnonzero(framed), around, _removable())
    return framed[1:-1, 1:-1].astype(bool)


@functools.cache
def _removable() -> Bool[np.ndarray, "2 256"]:
    """Which neighbourhoods (bit k: the k-th neighbour is foreground) lose their centre, in each of
    the two alternating passes: conditions G1, G2 and G3 or G3' in the survey of Lam, Lee and Suen
    (PAMI 1992), after Guo and Hall.
    """
    x = [(np.arange(256) >> k) % 2 == 1 for k in range(8)]  # x[0] is their x1
    following = [*x[1:], x[0]]
    crossings = sum(~x[k] & (x[k + 1] | following[k + 1]) for k in (0, 2, 4, 6))
    first = sum((x[k] | x[k + 1]).astype(int) for k in (0, 2, 4, 6))
    second = sum((x[k] | following[k]).astype(int) for k in (1, 3, 5, 7))
    fewer = np.minimum(first, second)
    common = (crossings == 1) & (fewer >= 2) & (fewer <= 3)
    return np.stack([common & ~((x[1] | x[2] | ~x[7]) & x[0]),
                     common & ~((x[5] | x[6] | ~x[3]) & x[4])])  # fmt: skip


@no_type_check
def _thin_in_place(
    pixels: UInt8[np.ndarray, " n"],
    foreground: Int64[np.ndarray, " m"],
    around: Int64[np.ndarray, " 8"],
    removable: Bool[np.ndarray, "2 256"],
) -> None:
    """Compiled by numba; plain Python runs it too."""
    alive = foreground.copy()
    gone = np.empty_like(alive)
    count = len(alive)
    changed = True
    while changed:
        changed = False
        for half in range(2):
            # All pixels of a pass are judged before any is removed.
            kept, lost = 0, 0
            for i in range(count):
                place = alive[i]
                code = 0
                for k in range(8):
                    code |= pixels[place + around[k]] << k
                if removable[half, code]:
                    gone[lost] = place
                    lost += 1
                else:
                    alive[kept] = place
                    kept += 1
            for i in range(lost):
                pixels[gone[i]] = 0
            count = kept
            changed |= lost > 0


def suppress_non_maxima(strength: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Keep what no neighbour across the edge exceeds by more than 1 %; the rest becomes 0.

    The direction across the edge is the one of strongest curvature of the smoothed map.
    Neighbours lie one pixel away on either side, interpolated; near the frame they are repeated.
    The idea is that of the Structured Edge Detection Toolbox, whose own way and numbers are those
    of `suppress_as_the_toolbox`.

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
    readable = strength.astype(np.float32) if strength.dtype == np.float16 else strength  # by SciPy
    across = [
        map_coordinates(readable, place + sign * step, order=1, mode="nearest") for sign in (1, -1)
    ]
    ridge = np.maximum(*across) <= strength * _MARGIN
    return np.where(ridge, strength, np.zeros_like(strength))


def suppress_as_the_toolbox(strength: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Non-maximum suppression as published results on BSDS have it, by which HED, RCF, PiDiNet and
    others were scored: `edgesNms` of the Structured Edge Detection Toolbox (Dollar and Zitnick,
    PAMI 2015), written anew from its description.

    It differs from `suppress_non_maxima` in three ways: the map is smoothed first, and keeps its
    smoothed strengths; the direction across an edge is taken from the ratio of two second
    derivatives of a wider smoothing, and not from the full Hessian; and strengths fade to 0 over
    the 5 pixels along the frame.

    Args:
        strength: (h, w) in [0, 1].

    Returns:
        (h, w) the smoothed values on the ridges, 0 elsewhere.
    """
    smooth = _triangle(strength.astype(np.float64), 1)
    down, right = np.gradient(_triangle(smooth, _TOOLBOX_RADIUS))
    right_right = np.gradient(right, axis=1)
    down_down, right_down = np.gradient(down)
    slope = down_down * np.sign(-right_down) / (right_right + 1e-5)
    angle = np.mod(np.arctan(slope), np.pi)
    place = np.mgrid[: strength.shape[0], : strength.shape[1]]
    step = np.stack([np.sin(angle), np.cos(angle)])
    across = [
        map_coordinates(smooth, place + sign * step, order=1, mode="nearest") for sign in (1, -1)
    ]
    ridges = np.where(np.maximum(*across) <= smooth * _MARGIN, smooth, 0)
    for axis, side in enumerate(strength.shape):
        reach = min(_FADE, side // 2)
        near = np.minimum(np.arange(side), np.arange(side)[::-1])
        fade = np.minimum(1, near / max(1, reach))
        ridges = ridges * np.expand_dims(fade, 1 - axis)
    return ridges.astype(strength.dtype)


def _triangle(values: Float[np.ndarray, "h w"], radius: int) -> Float[np.ndarray, "h w"]:
    """Smoothed by a triangle of 2 radius + 1 pixels along either axis; the frame is mirrored."""
    box = np.full(radius + 1, 1 / (radius + 1))
    weights = np.convolve(box, box)
    for axis in (0, 1):
        values = correlate1d(values, weights, axis=axis, mode="reflect")
    return values


SUPPRESSIONS: dict[str, Callable[..., Any]] = {
    "none": lambda strength: strength,
    "ridges": suppress_non_maxima,
    "toolbox": suppress_as_the_toolbox,
}
