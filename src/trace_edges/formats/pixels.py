"""Image files whose pixels are numbers: read whole and as they are stored, and written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from os import PathLike

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image, ImageFile

from trace_edges.files import FileError, write_atomically

UNLABELLED = 255  # in files of 8 bits, as Pascal VOC has it: a pixel without a label or a class


@contextmanager
def open_image(path: str | PathLike[str]) -> Iterator[ImageFile.ImageFile]:
    """The image, not decoded yet.

    Raises:
        FileNotFoundError: there is none.
        FileError: a `ValueError` of one line: it is no image, or turns out to be damaged.
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
        path: an image that Pillow opens.
        modes: the modes that will do.
        kind: what such an image is, as a sentence: "a VOC annotation is a palette PNG".

    Raises:
        FileNotFoundError: as in `open_image`.
        FileError: as in `open_image`; the mode is another; values have been lost in a JPEG, or
            would be, as Pillow keeps 8 of 16 bits a colour.
    """
    with open_image(path) as image:
        if image.format not in ("PNG", "TIFF"):
            problem = f"is a {image.format}, which need not keep values"
            raise FileError(path, problem, f"{kind}: write it anew as PNG")
        if image.mode not in modes:
            raise FileError(path, f"is an image of mode {image.mode}", f"{kind}: save it as that")
        if image.format == "PNG" and image.tile[0][3] == "RGB;16B":
            raise FileError(path, "has 16 bits a colour", f"{kind} of 8 bits: save it as that")
        return np.asarray(image), image.mode


def write_png(image: np.ndarray | Image.Image, path: str | PathLike[str]) -> None:
    """Write an image, or an array that Pillow makes one of: uint8, or uint16 of grey.

    Raises:
        OSError: as in `write_atomically`.
    """
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
    with write_atomically(path) as temporary:
        drawn.save(temporary, "PNG")


def colour_ids(colours: UInt8[np.ndarray, "h w 3"]) -> Int32[np.ndarray, "h w"]:
    """Numbers written as colours: R + 256 G + 65536 B."""
    return colours.astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)


def id_colours(ids: Int32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The colours that `colour_ids` reads."""
    return np.stack([(ids >> shift) & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
