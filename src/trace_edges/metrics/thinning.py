"""Thin binary maps to lines of one pixel, as MATLAB's `bwmorph(map, 'thin', Inf)` does.

An edge benchmark thins every prediction at every threshold, which with scikit-image takes longer
than the matching. `thin_numba` removes the same pixels as `skimage.morphology.thin`, but
looks at the remaining foreground only, where scikit-image filters the whole image anew each time.
"""

import functools
import importlib.util
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from skimage.morphology import thin as thin_skimage

from trace_edges.metrics.compiled import compiled

Map = Bool[np.ndarray, "h w"]


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
    framed = np.pad(edges, 1).astype(np.uint8)
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
