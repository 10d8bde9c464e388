"""Image files whose pixels are numbers: read whole and as they are stored, and written."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from errno import ENOENT
from os import PathLike

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from trace_edges.files import FileError, write_atomically
from trace_edges.images.loading import image_size
from trace_edges.images.opening import (
    begin,
    decoding,
    frames_of,
    is_tiff,
    open_file,
    open_pillow,
    orientation_of,
)
from trace_edges.images.png import SPREAD, deep_mode, deep_values, raw_mode
from trace_edges.images.stored import LABELS, MAX_PIXELS, ImageError, check_memory, upright
from trace_edges.images.tiff import Tiff, read_tiff

# Compressions of TIFF that may change values, as the image formats of these names do.
_LOSSY = ("OJPEG", "JPEG", "ALT_JPEG", "JPEG_LOSSY", "JPEG2000", "JPEGXR", "WEBP", "JPEGXL")

_ONE = "save the one that is meant as a file of its own"

UNLABELLED = 255  # in files of 8 bits, as Pascal VOC has it: a pixel without a label or a class


def read_pixels(
    path: str | PathLike[str], modes: Collection[str], kind: str
) -> tuple[np.ndarray, str]:
    """Pixels as they are stored, palette indices included, upright, with Pillow's mode.

    Args:
        path: a PNG or TIFF.
        modes: the modes that will do.
        kind: what such an image is, as a sentence: "a VOC annotation is a palette PNG".

    Raises:
        FileNotFoundError: there is none.
        FileError: as in `stored_pixels`; the mode is another; values have been lost in a JPEG.
    """
    values, mode, form = stored_pixels(path)
    if form not in ("PNG", "TIFF"):
        raise FileError(
            path, f"is a {form}, which may change values", f"{kind}: save it again as PNG"
        )
    if mode.endswith(";16") and mode not in ("I;16", *modes):
        raise FileError(path, "has 16 bits a colour", f"{kind} of 8 bits: save it as that")
    if mode not in modes:
        raise FileError(path, f"is an image of mode {mode}", f"{kind}: save it as that")
    return values, mode


def stored_pixels(
    path: str | PathLike[str], *, as_shown: bool = False
) -> tuple[np.ndarray, str, str]:
    """The numbers of an image, upright, with Pillow's mode and format.

    Grey of 2 and 4 bits keeps its numbers, which Pillow would spread over 0..255; 16 bits a colour
    are whole, of the mode "RGB;16" and the like; the format of a TIFF whose compression may change
    values is "TIFF of JPEG data" and the like.

    Args:
        path: the image.
        as_shown: the brightness that is meant, and not the numbers: white is the highest of the
            type, also where there are fewer bits, or where a TIFF says that white is 0.

    Raises:
        FileNotFoundError: there is none.
        FileError: a `ValueError` of one line: it is no image of a format that is read, is damaged,
            is a stack of several, has bands beside its colours, or has more than 400 megapixels.
    """
    with _as_file_errors(path), open_file(path, str(path)) as file, decoding(str(path)):
        if is_tiff(begin(file, str(path))):
            tiff = read_tiff(file, str(path), smallest=False)
            form = _form(tiff)
            if tiff.pages > 1:
                raise FileError(path, f"holds {tiff.pages} pages", _ONE)
            if tiff.notes:
                raise FileError(path, f"has bands of no said meaning ({tiff.notes[0]})", _ONE)
            if tiff.image is not None:
                values, mode = np.asarray(tiff.image), tiff.image.mode
                if tiff.photometric == "MINISWHITE" and mode == "L" and not as_shown:
                    values = ~values  # Pillow gives brightness
                return values, mode, form
            assert tiff.values is not None
            values = _brightness(tiff) if as_shown else tiff.values
            if values.dtype == np.bool_ and tiff.photometric == "MINISWHITE":
                values = ~values
            return upright(values, tiff.orientation), _mode(tiff), form
        image = open_pillow(file, str(path))
        _check_pixels(image, path)
        if several := frames_of(image):
            raise FileError(path, f"holds {several[0].rpartition(' ')[2]} frames", _ONE)
        deep, raw = deep_mode(image), raw_mode(image)
        if deep:
            values, whole = deep_values(file, deep)
            return upright(values, orientation_of(whole)), deep.replace(";16B", ";16"), "PNG"
        values = np.asarray(image)
        if raw in SPREAD and not as_shown:
            values = values // SPREAD[raw]
        return upright(values, orientation_of(image)), image.mode, image.format or ""


def palette_colours(path: str | PathLike[str]) -> UInt8[np.ndarray, "h w 3"]:
    """The colours of a palette image, upright. Errors as in `stored_pixels`."""
    with _as_file_errors(path), open_file(path, str(path)) as file, decoding(str(path)):
        if is_tiff(begin(file, str(path))):
            tiff = read_tiff(file, str(path), smallest=False)
            if tiff.values is not None and tiff.colours is not None:
                table = tiff.colours.T.astype(np.uint8)
                return upright(table[np.minimum(tiff.values, len(table) - 1)], tiff.orientation)
            assert tiff.image is not None
            return np.asarray(tiff.image.convert("RGB"))
        image = open_pillow(file, str(path))
        _check_pixels(image, path)
        return upright(np.asarray(image.convert("RGB")), orientation_of(image))


def upright_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Height and width of an image, its orientation applied; its pixels are not decoded.

    Raises:
        FileNotFoundError, FileError: as in `stored_pixels`.
    """
    with _as_file_errors(path):
        return image_size(path)


def _form(tiff: Tiff) -> str:
    """The format of a TIFF, with its compression where that may change values."""
    return f"TIFF of {tiff.compression} data" if tiff.compression in _LOSSY else "TIFF"


def _brightness(tiff: Tiff) -> np.ndarray:
    """The values of a TIFF so that white is the highest of their type; of floats, 1."""
    values = tiff.values
    assert values is not None
    if values.dtype.kind == "f":
        return 1 - values if tiff.photometric == "MINISWHITE" else values
    if values.dtype.kind != "u" or tiff.photometric == "PALETTE":
        return values
    if tiff.bits % 8:
        highest = np.iinfo(values.dtype).max
        values = np.rint(values * (highest / (2**tiff.bits - 1))).astype(values.dtype)
    return ~values if tiff.photometric == "MINISWHITE" else values


def _mode(tiff: Tiff) -> str:
    """Pillow's name for what a TIFF holds."""
    assert tiff.values is not None
    bands = 1 if tiff.values.ndim == 2 else tiff.values.shape[-1]
    dtype = tiff.values.dtype
    if bands > 1:
        name = {2: "LA", 3: "RGB", 4: "RGBA"}[bands]
        return name if dtype == np.uint8 else f"{name};{8 * dtype.itemsize}"
    if tiff.photometric == "PALETTE":
        return "P"
    if dtype.kind == "f":
        return "F"
    return {"b1": "1", "u1": "L", "u2": "I;16"}.get(dtype.str[1:], "I")


def _check_pixels(image: Image.Image, path: str | PathLike[str]) -> None:
    if image.width * image.height > MAX_PIXELS:
        problem = f"is {image.width} x {image.height} px"
        raise FileError(path, problem, f"make it at most {MAX_PIXELS:,} pixels")
    check_memory(image.height, image.width, LABELS, str(path))


@contextmanager
def _as_file_errors(path: str | PathLike[str]) -> Iterator[None]:
    """The errors of images as those of files."""
    try:
        yield
    except ImageError as error:
        if not os.path.exists(path):
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(path)) from error
        told = str(error).removeprefix(f"{path}: ")
        problem, _, mend = told.rpartition("; ") if "; " in told else (told, "", "save it again")
        if problem.startswith("cannot be decoded"):
            mend = "fetch or save it again"
        raise FileError(path, problem, mend) from error


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


def read_panoptic_ids(path: str | PathLike[str]) -> Int32[np.ndarray, "h w"]:
    """Segment ids of a panoptic PNG: R + 256 G + 65536 B, and 0 is void.

    Raises:
        FileNotFoundError, FileError: as in `trace_edges.formats.pixels.read_pixels`.
    """
    kind = "a panoptic PNG is RGB (id = R + 256 G + 65536 B)"
    pixels, _ = read_pixels(path, ("RGB",), kind)
    return colour_ids(pixels)


def id_colours(ids: Int32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The colours that `colour_ids` reads."""
    return np.stack([(ids >> shift) & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
