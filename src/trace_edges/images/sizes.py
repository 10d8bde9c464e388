"""The size at which a model looks at an image, and the image made ready for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

if TYPE_CHECKING:
    import torch


def model_size(height: int, width: int, resolution: int, multiple: int) -> tuple[int, int]:
    """The (height, width) in pixels at which the model looks at an image.

    Both sides are scaled by one factor so that sqrt(H * W) = `resolution`, then rounded to the
    nearest multiple of `multiple` (halves up), and are at least twice that.

    Raises:
        ValueError: `resolution` is below 2 * `multiple`, or a number is not positive.
    """
    if min(height, width, multiple) < 1:
        raise ValueError(
            f"height {height}, width {width}, multiple {multiple}: none may be below 1"
        )
    if resolution < 2 * multiple:
        raise ValueError(f"resolution {resolution} is too small; give at least {2 * multiple}")
    scale = resolution / math.sqrt(height * width)
    cells = (max(2, math.floor(side * scale / multiple + 0.5)) for side in (height, width))
    return next(cells) * multiple, next(cells) * multiple


def resize_image(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """Resizes to `size` = (height, width) with Pillow's Lanczos filter.

    The filter widens with the reduction, so it is antialiased going down as well as smooth going
    up.
    """
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def to_model(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 h w"]:
    """The image as a model takes it: channels first, 0..255 mapped to [-1, 1]."""
    channels = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
    return channels / np.float32(127.5) - np.float32(1)


def to_tensor(image: UInt8[np.ndarray, "h w 3"]) -> Float32[torch.Tensor, "3 h w"]:
    """`to_model` as a new tensor on the CPU."""
    import torch

    return torch.from_numpy(to_model(image))
