"""From what the student says of its pixels to edges, and to the results that carry them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image
from scipy.ndimage import gaussian_filter

from trace_edges.results import EdgeMap, Emergence
from trace_edges.surface import fit_surface, surface_crests, surface_height
from trace_edges.visualize import grey_image

# px of what the model sees: neighbouring pixels disagree by a little, and every disagreement would
# be a crest of its own.
_SMOOTHING = 1.0


def draw_probabilities(
    seen: Float32[np.ndarray, "H W"], size: tuple[int, int]
) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Edges in [0, 1] and their crests at `size` (h, w), from those at the student's pixels."""
    surface = fit_surface(gaussian_filter(seen, _SMOOTHING), size)
    return surface_height(surface, size).clip(0, 1), surface_crests(surface, size)


def edge_map(
    edges: Float32[np.ndarray, "n h w"], crests: Bool[np.ndarray, "n h w"], made_with: Mapping
) -> EdgeMap:
    """As a result: one step was visited, t = 0, so there is neither a curve nor a divergence."""
    n = len(edges)
    steps = np.zeros(1, dtype=np.int64)
    emergence = Emergence(steps, np.zeros((n, 0), np.float32), np.zeros(n, dtype=np.int64))
    return EdgeMap(edges, crests, np.zeros((n, 0, 0), np.float32), emergence, made_with)


def control_picture(thin: Float32[np.ndarray, "h w"], shorter: int | None) -> Image.Image:
    """White lines on black, RGB, with a shorter side of so many px (None: as it is)."""
    picture = grey_image(thin).convert("RGB")
    if shorter is None:
        return picture
    scale = shorter / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)
