"""Lines of a detector beside the contours that close regions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import maximum_filter

from trace_edges.instances.components import edge_array
from trace_edges.instances.hierarchy import build_hierarchy, contours
from trace_edges.results import EdgeMap

NEAR = 2  # px between a line and the contour that it is part of, at most


def weigh_lines(edges: EdgeMap) -> Float32[np.ndarray, "h w"]:
    """Weaken lines that close no region: the strength of a pixel becomes the geometric mean of its
    own and of the strongest contour within `NEAR` px, at which its two sides become one region.

    Spurs and texture lose more than borders (docs/distillation.md has the scores).

    Args:
        edges: of one image; its `thin` lines are weighed by the hierarchy of its smooth `edges`.

    Returns:
        (h, w) in [0, 1], 0 off the lines.

    Raises:
        ValueError: `edges` are of several images.
    """
    near = maximum_filter(contours(build_hierarchy(edges)), 2 * NEAR + 1)
    weighted: Float32[np.ndarray, "h w"] = np.sqrt(edge_array(edges, thin=True) * near)
    return weighted
