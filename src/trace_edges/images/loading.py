"""From whatever the caller has to pixels, by the rules at the head of the package."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from trace_edges.images.arrays import Array, from_array, is_array, is_tensor
from trace_edges.images.opening import decoding, from_pillow, open_file, read_stored, stored_size
from trace_edges.images.stored import ImageError, Stored, refusal, render

File: TypeAlias = IO[Any] | io.IOBase  # both, since BytesIO is no IO at run time
ImageSource: TypeAlias = str | os.PathLike[str] | bytes | File | Image.Image | Array


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image that is ready to be used.

    Attributes:
        pixels: (h, w, 3) upright 8-bit RGB.
        notes: what was done to get it, where anything was: "page 1 of 5",
            "12 % transparent, laid on white", "12-bit values in 16 bits".
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    notes: tuple[str, ...] = ()


def load_image(source: ImageSource) -> UInt8[np.ndarray, "h w 3"]:
    """Loads one image as a new upright 8-bit RGB array, by the rules at the head of this package.

    Args:
        source: A path, bytes or a binary file object (read from its start where it can seek) with
            a JPEG, PNG, WebP, TIFF, BMP or GIF image, or with one of AVIF, HEIC, JPEG 2000 or
            JPEG XL where the extra `formats` is installed; a `PIL.Image`; an array (h, w) or
            (h, w, 1 | 3 | 4) of bool, uint8, uint16 or float; a tensor (h, w) or (1 | 3 | 4, h, w)
            of bool, uint8, uint16 or float in [0, 1].

    Returns:
        (h, w, 3) uint8, at the size of the image.

    Raises:
        ImageError: It is missing, unreadable, damaged, or of another format, type, range or size.
    """
    return read_image(source).pixels


def read_image(source: ImageSource | list[Any] | tuple[Any, ...]) -> LoadedImage:
    """`load_image`, with notes of what was done to the image."""
    return _read(source, _name(source))


def image_size(source: str | os.PathLike[str] | bytes) -> tuple[int, int]:
    """Height and width of an encoded image, upright; its pixels are not decoded.

    Raises:
        ImageError: As in `load_image`, as far as its header tells.
    """
    name = _name(source)
    opened = io.BytesIO(source) if isinstance(source, bytes) else open_file(source, name)
    with opened as file, decoding(name):
        return stored_size(file, name)


def load_images(
    source: ImageSource | list[Any] | tuple[Any, ...],
) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Loads one image, a list of images, or a batch; each comes back at its own size.

    Args:
        source: Whatever `load_image` takes, a list or tuple of that, an array (n, h, w, c) or a
            tensor (n, c, h, w).

    Returns:
        One (h, w, 3) uint8 array per image.

    Raises:
        ImageError: As in `load_image`, naming e.g. "image 3 of the list"; or there is no image.
    """
    return [one.pixels for one in read_images(source)]


def read_images(source: ImageSource | list[Any] | tuple[Any, ...]) -> list[LoadedImage]:
    """`load_images`, with notes of what was done to each image."""
    if isinstance(source, list | tuple) or (is_array(source) and source.ndim == 4):
        whole = is_tensor(source) and source.is_nested
        if not whole and len(source) == 0:
            raise ImageError("the list of images is empty; give at least one image")
        if not whole:
            return [
                _read(item, _name(item, f"image {number} of the list"))
                for number, item in enumerate(source, 1)
            ]
    return [read_image(source)]


def _name(source: object, unnamed: str = "the image") -> str:
    """The name of the source in messages: its path where it has one, else `unnamed`."""
    if isinstance(source, str | os.PathLike):
        return str(source) or "the empty path"
    path = getattr(source, "filename" if isinstance(source, Image.Image) else "name", None)
    return path if path and isinstance(path, str) else unnamed


def _read(source: object, name: str) -> LoadedImage:
    if isinstance(source, str | os.PathLike):
        with open_file(source, name) as file:
            return _rendered(read_stored(file, name), name)
    if isinstance(source, bytes | bytearray | memoryview):
        return _rendered(read_stored(io.BytesIO(source), name), name)
    if isinstance(source, Image.Image):
        with decoding(name):
            return _rendered(from_pillow(source, name), name)
    if is_array(source):
        return _rendered(from_array(source, name), name)
    if hasattr(source, "read"):
        return _rendered(read_stored(_buffered(source, name), name), name)
    raise refusal(name, "is not an image; give a path, bytes, a file, a PIL image, array or tensor")


def _rendered(stored: Stored, name: str) -> LoadedImage:
    with decoding(name):
        return LoadedImage(*render(stored, name))


def _buffered(file: Any, name: str) -> io.BytesIO:
    """The whole of a file object, from its start where it can seek, as `Image.open` does it."""
    try:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        content = file.read()
    except (OSError, ValueError) as error:
        raise refusal(name, f"cannot be read ({error}); open it again with mode 'rb'") from error
    if not isinstance(content, bytes):
        raise refusal(name, "is opened as text; open it with mode 'rb'")
    return io.BytesIO(content)
