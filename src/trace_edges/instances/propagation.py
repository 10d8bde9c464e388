"""Propagation by watershed: fragments grow over the edges until they meet."""

from __future__ import annotations

import numpy as np
from skimage.segmentation import watershed

from trace_edges.instances.components import Edges, Labels, Mask, grown


def flood(markers: Labels, edges: Edges, mask: Mask) -> Labels:
    """Give every pixel of a mask that no marker owns to the marker that reaches it first.

    Weak edges are crossed before strong ones, so two markers meet on the ridge between them.

    Args:
        markers: (h, w) their numbers, 0 where none is; they keep what they have.
        edges: (h, w) the height that the flood climbs.
        mask: (h, w) where it may go.

    Returns:
        (h, w) the markers, grown over every pixel of the mask that is 4-connected to one.
    """
    unowned = mask & (markers == 0)
    if not unowned.any():
        return markers
    # Flooding starts at the markers' shores: their inside would cost as much and change nothing.
    shore = grown(unowned, 1) & (markers > 0)
    start = np.where(shore, markers, 0)
    flooded = watershed(edges, start, connectivity=1, mask=unowned | shore)
    return np.where(unowned, flooded, markers).astype(np.int32)
