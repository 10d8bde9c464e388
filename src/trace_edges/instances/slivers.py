"""Slivers: fragments too thin to be an instance, which belong to the neighbour that they run along.

A detector draws a border a few pixels off, mostly inside the object. What lies between its line and
the end of the mask is then cut off as a strip, and would count as an instance of its own.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import distance_transform_edt, maximum

from trace_edges.instances.components import Labels, Mask, borders, by_falling_size


def merge_slivers(labels: Labels, cut: Mask, radius: float) -> Labels:
    """Merge every fragment that is nowhere as wide as twice `radius` with a neighbour.

    The thinnest goes first, to the neighbour with which it shares the longest border. What two
    slivers become together may be wide enough. One without a neighbour stays as it is.

    Args:
        labels: (h, w) fragments numbered from 1 without a gap, 0 where none is.
        cut: (h, w) the pixels that separate.
        radius: pixels.

    Returns:
        (h, w) fragments by falling size, numbered from 1.
    """
    while True:
        pairs, lengths, _ = borders(labels, cut)
        if not len(pairs):
            return labels  # most masks are one fragment
        radii = inscribed_radii(labels)
        owner = np.arange(len(radii), dtype=np.int32)
        taken = np.zeros(len(radii), dtype=bool)  # each takes part in one merger a round
        for sliver in sorted(np.flatnonzero(radii[1:] < radius) + 1, key=lambda k: (radii[k], k)):
            around = np.flatnonzero((pairs == sliver).any(axis=1))
            if not len(around):
                continue
            host = pairs[around[np.argmax(lengths[around])]].sum() - sliver
            if not taken[sliver] and not taken[host]:
                owner[sliver] = host
                taken[[sliver, host]] = True
        if not taken.any():
            return labels
        labels = by_falling_size(owner[labels])


def inscribed_radii(labels: Labels) -> Float64[np.ndarray, " n1"]:
    """The radius in pixels of the largest circle inside each region; 0 for the label 0.

    The edge of the window ends a region as another region does. A strip of w pixels, an odd number,
    has w / 2; one of an even number has what the next narrower strip has.
    """
    padded = np.pad(labels, 1)
    ends = np.zeros(labels.shape, dtype=bool)
    for other in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        ends |= other != labels
    inside = distance_transform_edt(~ends) + 0.5
    numbers = np.arange(1, labels.max(initial=0) + 1)
    return (
        np.concatenate([[0.0], maximum(inside, labels, numbers)]) if len(numbers) else np.zeros(1)
    )
