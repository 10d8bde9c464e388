"""From what the student says of its pixels to edges, and to the results that carry them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image
from scipy.ndimage import gaussian_filter

from trace_edges.drawing.visualize import grey_image
from trace_edges.training_free.ridges import fit_surface, surface_height, surface_ridges

# px of what the model sees: neighbouring pixels disagree by a little, and every disagreement would
# be a ridge of its own.
_SMOOTHING = 1.0


def draw_probabilities(
    seen: Float32[np.ndarray, "H W"], size: tuple[int, int]
) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Edges in [0, 1] and their ridges at `size` (h, w), from those at the student's pixels."""
    surface = fit_surface(gaussian_filter(seen, _SMOOTHING), size)
    return surface_height(surface, size).clip(0, 1), surface_ridges(surface, size)


def control_picture(thin: Float32[np.ndarray, "h w"], shorter: int | None) -> Image.Image:
    """White lines on black, RGB, with a shorter side of so many px (None: as it is)."""
    picture = grey_image(thin).convert("RGB")
    if shorter is None:
        return picture
    scale = shorter / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)
