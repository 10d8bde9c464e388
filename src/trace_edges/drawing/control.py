"""Edges as the images that steer a diffusion model: a ControlNet's, or a T2I-Adapter's."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32
from PIL import Image

from trace_edges.drawing.overlays import lines, shown_strength
from trace_edges.drawing.visualize import grey_image

ControlStyle = Literal["thin", "soft", "scribble"]

_SCRIBBLE = 4.0  # px of a line where the shorter side has some 480
_DRAWN = 0.3  # of the stretched strength, from which a line is scribbled


def control_image(
    edges: Float32[np.ndarray, "h w"],
    thin: Float32[np.ndarray, "h w"],
    style: ControlStyle = "thin",
    shorter: int | None = None,
) -> Image.Image:
    """White edges on black, RGB, at full contrast.

    Strength is stretched by that of the image's own ridges (`overlays.shown_strength`), so that the
    strongest lines of every image are white, whatever method found them.

    Args:
        edges: the smooth map, in [0, 1].
        thin: the same on its ridges, 0 elsewhere.
        style: "thin", antialiased lines as grey as they are weak, for lineart and Canny; "soft",
            the smooth map, for soft edges (HED); "scribble", wide white strokes where an edge is
            strong enough.
        shorter: px of the shorter side; None: as it is.

    Raises:
        ValueError: there is no such style.
    """
    if style not in get_args(ControlStyle):
        raise ValueError(f"unknown style {style!r}; known: {', '.join(get_args(ControlStyle))}")
    if style == "soft":
        drawn = shown_strength(edges, thin)
    elif style == "thin":
        drawn = lines(shown_strength(thin))
    else:
        strong = (shown_strength(thin) >= _DRAWN).astype(np.float32)
        drawn = lines(strong, _SCRIBBLE)
    image = grey_image(drawn).convert("RGB")
    if shorter is None:
        return image
    scale = shorter / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)
