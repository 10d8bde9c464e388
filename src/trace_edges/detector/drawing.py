"""Draws the probabilities of a student as edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import gaussian_filter

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
