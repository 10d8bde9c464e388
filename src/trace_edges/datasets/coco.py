"""Read COCO's panoptic PNGs."""

from __future__ import annotations

from os import PathLike

import numpy as np
from jaxtyping import Int32
from PIL import Image


def read_panoptic(path: str | PathLike[str]) -> Int32[np.ndarray, "h w"]:
    """Segment ids of a panoptic PNG: id = R + 256 G + 65536 B, and 0 is void.

    Raises:
        ValueError: the picture is not RGB, as a panoptic PNG is.
    """
    with Image.open(path) as image:
        if image.mode != "RGB":
            raise ValueError(f"{path} is a picture of mode {image.mode}; a panoptic PNG is RGB")
        colours = np.asarray(image).astype(np.int32)  # (H, W, 3)
    return colours @ np.array([1, 256, 65536], dtype=np.int32)
