"""Pictures whose pixels are numbers: opened whole and as they are stored, or refused by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from os import PathLike

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image, ImageFile

from trace_edges.files import FileError


@contextmanager
def open_picture(path: str | PathLike[str]) -> Iterator[ImageFile.ImageFile]:
    """The picture, not decoded yet.

    Raises:
        FileNotFoundError: there is none.
        FileError: a `ValueError` of one line: it is no picture, or turns out to be damaged.
    """
    try:
        with Image.open(path) as image:
            yield image
    except (FileError, FileNotFoundError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged data
        reason = str(error) or type(error).__name__
        raise FileError(path, f"cannot be decoded ({reason})", "fetch or save it again") from error


def read_pixels(
    path: str | PathLike[str], modes: Collection[str], kind: str
) -> tuple[np.ndarray, str]:
    """Pixels as they are stored, palette indices included, with Pillow's mode.

    Args:
        path: a picture that Pillow opens.
        modes: the modes that will do.
        kind: what such a picture is, as a sentence: "a VOC annotation is a palette PNG".

    Raises:
        FileNotFoundError: as in `open_picture`.
        FileError: as in `open_picture`; the mode is another; values have been lost in a JPEG, or
            would be, as Pillow keeps 8 of 16 bits a colour.
    """
    with open_picture(path) as image:
        if image.format not in ("PNG", "TIFF"):
            problem = f"is a {image.format}, which need not keep values"
            raise FileError(path, problem, f"{kind}: write it anew as PNG")
        if image.mode not in modes:
            raise FileError(path, f"is a picture of mode {image.mode}", f"{kind}: save it as that")
        if image.format == "PNG" and image.tile[0][3] == "RGB;16B":
            raise FileError(path, "has 16 bits a colour", f"{kind} of 8 bits: save it as that")
        return np.asarray(image), image.mode


def colour_ids(colours: UInt8[np.ndarray, "h w 3"]) -> Int32[np.ndarray, "h w"]:
    """Numbers written as colours: R + 256 G + 65536 B."""
    return colours.astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)


def read_panoptic_ids(path: str | PathLike[str]) -> Int32[np.ndarray, "h w"]:
    """Segment ids of a panoptic PNG of COCO: R + 256 G + 65536 B, and 0 is void.

    Raises:
        FileNotFoundError, FileError: as in `read_pixels`.
    """
    kind = "a panoptic PNG is RGB (id = R + 256 G + 65536 B)"
    pixels, _ = read_pixels(path, ("RGB",), kind)
    return colour_ids(pixels)
