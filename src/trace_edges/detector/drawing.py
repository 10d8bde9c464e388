"""Draws the probabilities of a student as edges, and edges as ControlNet takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image
from scipy.ndimage import gaussian_filter

from trace_edges.drawing.visualize import grey_image
from trace_edges.training_free.ridges import fit_surface, surface_height, surface_ridges

# px of what the model sees: neighbouring pixels disagree by a little, and every disagreement would
# be a ridge of its own.
_SMOOTHING = 1.0


@dataclass(frozen=True)
class ProbabilityDrawing:
    """Draws a student's probabilities; see `draw_probabilities`."""

    def __call__(
        self, values: Float32[np.ndarray, "gh gw"], size: tuple[int, int]
    ) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
        return draw_probabilities(values, size)


def draw_probabilities(
    seen: Float32[np.ndarray, "H W"], size: tuple[int, int]
) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Edges in [0, 1] and their ridges at `size` (h, w), from those at the student's pixels."""
    surface = fit_surface(gaussian_filter(seen, _SMOOTHING), size)
    return surface_height(surface, size).clip(0, 1), surface_ridges(surface, size)


def control_image(thin: Float32[np.ndarray, "h w"], shorter: int | None) -> Image.Image:
    """White lines on black, RGB, with a shorter side of so many px (None: as it is)."""
    image = grey_image(thin).convert("RGB")
    if shorter is None:
        return image
    scale = shorter / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)
