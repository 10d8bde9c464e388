"""Lines of a detector beside the contours that close regions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import maximum_filter

from trace_edges.instances.components import Edges, check_edges
from trace_edges.instances.hierarchy import build_hierarchy, contours

NEAR = 2  # px between a line and the contour that it is part of, at most


def weigh_lines(thin: Edges, smooth: Edges) -> Float32[np.ndarray, "h w"]:
    """Weaken lines that close no region: the strength of a pixel becomes the geometric mean of its
    own and of the strongest contour within `NEAR` px, at which its two sides become one region.

    Spurs and texture lose more than borders (docs/distillation.md has the scores).

    Args:
        thin: (h, w) lines in [0, 1].
        smooth: (h, w) the map that they are the ridges of, whose hierarchy gives the contours.

    Raises:
        ValueError: the two are not maps of one size in [0, 1].
    """
    closed = contours(build_hierarchy(smooth))
    check_edges(thin, closed.shape)
    weighted: Float32[np.ndarray, "h w"] = np.sqrt(thin * maximum_filter(closed, 2 * NEAR + 1))
    return weighted.astype(np.float32)
