"""An image as it is stored, whatever holds it, and how it becomes upright 8-bit RGB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import UInt8

from trace_edges.errors import in_brief
from trace_edges.memory import free

MIN_SIDE = 16
MAX_PIXELS = 400_000_000
_TURNED = "turned upright (orientation {})"
_DARKEST = 2  # the largest value of floats to 255: of those to 1, cubic resizing oversteps it
# Notes of images that keep their size as they are turned, so that nothing else tells of it.
TURNED_IN_SIZE = tuple(_TURNED.format(orientation) for orientation in (2, 3, 4))
LABELS = 16  # bytes per pixel that a map takes as it is read: labels, masks, and copies of them

Rows: TypeAlias = Callable[[slice], np.ndarray]  # rows as stored: (r, w) or (r, w, 1 | 2 | 3 | 4)
Alpha = Literal["straight", "premultiplied"]


class ImageError(ValueError):
    """An image that cannot be used: one line that names it and says what to do."""


@dataclass(frozen=True, eq=False)
class Stored:
    """An image as it is stored.

    Attributes:
        rows: gives some of its rows: grey, grey and alpha, RGB, or RGBA.
        height, width: as stored, px.
        orientation: 1 to 8, as EXIF has it.
        alpha: how colours go with the last of two or four channels.
        key: the value that means transparent: of grey, or of red, green and blue.
        inverted: white is 0.
        bits: that are used of every value, where the file says so and it is no whole type.
        float_limit: the largest float that will do.
        notes: what was done to it already.
    """

    rows: Rows
    height: int
    width: int
    orientation: int = 1
    alpha: Alpha = "straight"
    key: tuple[int, ...] | None = None
    inverted: bool = False
    bits: int | None = None
    float_limit: int = 255
    notes: tuple[str, ...] = ()

    @property
    def swapped(self) -> bool:
        """The upright image is as high as the stored one is wide."""
        return self.orientation in (5, 6, 7, 8)


def refusal(name: str, problem: str) -> ImageError:
    """The error in one line, though names and Pillow's messages may hold line breaks."""
    what, semicolon, mend = problem.rpartition("; ")
    return ImageError(" ".join(f"{name}: {in_brief(what)}{semicolon}{mend}".splitlines()))


def check_size(height: int, width: int, name: str) -> None:
    """Raises an `ImageError` where an image is too small or too large."""
    if min(height, width) < MIN_SIDE:
        raise refusal(name, f"is {width} x {height} px; give at least {MIN_SIDE} px a side")
    if height * width > MAX_PIXELS:
        raise refusal(name, f"is {width} x {height} px; make it at most {MAX_PIXELS:,} pixels")


def check_memory(height: int, width: int, bytes_per_pixel: int, name: str) -> None:
    """Raises an `ImageError` where the machine has not the memory to decode an image."""
    needed = height * width * (bytes_per_pixel + 3)  # what is decoded, and the result
    there = free()
    if needed > there:
        sizes = f"{needed / 2**30:.1f} GiB of memory, and {there / 2**30:.1f} are free"
        raise refusal(name, f"is {width} x {height} px and needs {sizes}; make it smaller")


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """The stored pixels (h, w, ...) turned as an EXIF orientation says: a view."""
    values = _flipped(values, orientation)
    return values.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else values


def render(image: Stored, name: str) -> tuple[UInt8[np.ndarray, "h w 3"], tuple[str, ...]]:
    """Upright 8-bit RGB, and what was done to get it.

    Raises:
        ImageError: values are out of range.
    """
    height, width = image.height, image.width
    scale, alpha_scale, told = _scales(image, name)
    shape = (width, height, 3) if image.swapped else (height, width, 3)
    pixels = np.empty(shape, np.uint8)
    stored = _stored_view(pixels, image.orientation)
    translucent = 0
    for band in _bands(height, width):
        values = image.rows(band)
        channels = 1 if values.ndim == 2 else values.shape[2]
        colours, alpha = values, None
        if channels in (2, 4):
            alpha = _eight_bits(values[..., -1:], alpha_scale)
            colours = values[..., :-1]
            translucent += int(np.count_nonzero(alpha != 255))
        drawn = _eight_bits(colours, scale).reshape(*values.shape[:2], -1)
        drawn = 255 - drawn if image.inverted else drawn
        drawn = drawn if alpha is None else _over_white(drawn, alpha, image.alpha)
        stored[band] = drawn
        if image.key is not None:
            keyed = (colours.reshape(*drawn.shape) == np.array(image.key)).all(axis=-1)
            stored[band][keyed] = 255
            translucent += int(np.count_nonzero(keyed))
    notes = list(image.notes)
    if image.orientation in range(2, 9):
        notes.append(_TURNED.format(image.orientation))
    if told:
        notes.append(told)
    if translucent:
        share = 100 * translucent / (height * width)
        amount = f"{share:.0f}" if share >= 1 else "under 1"
        notes.append(f"{amount} % transparent, laid on white")
    return pixels, tuple(notes)


def _stored_view(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """A view of upright pixels that is filled in the order in which they are stored."""
    swapped = orientation in (5, 6, 7, 8)
    return _flipped(pixels.swapaxes(0, 1) if swapped else pixels, orientation)


def _flipped(values: np.ndarray, orientation: int) -> np.ndarray:
    flip_rows, flip_columns = orientation in (3, 4, 6, 7), orientation in (2, 3, 7, 8)
    return values[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _bands(height: int, width: int) -> list[slice]:
    """Rows by about a megapixel, so that no wide copy ever has the size of the image."""
    step = max(1, 2**20 // width)
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def _scales(image: Stored, name: str) -> tuple[float, float, str]:
    """The factors that take colours and alpha to 0..255, and what to say of them.

    Raises:
        ImageError: values are out of range.
    """
    first = image.rows(slice(0, 1))
    dtype = first.dtype
    if dtype == np.bool_:
        return 255.0, 255.0, ""
    if image.bits is not None:
        factor = 255.0 / (2**image.bits - 1)
        return factor, factor, ""
    if dtype == np.uint8:
        return 1.0, 1.0, ""
    lowest, highest, highest_alpha = _range(image)
    limit = image.float_limit if dtype.kind == "f" else 65535
    largest = np.maximum(highest, highest_alpha)
    neither = dtype.kind == "f" and 1 < largest < _DARKEST
    if not (lowest >= 0 and largest <= limit) or neither:
        allowed = f"[0, {limit}]" if limit != 255 else "[0, 1] or [0, 255]"
        raise refusal(name, f"has values from {lowest:g} to {largest:g}; bring them to {allowed}")
    if dtype.kind == "f":
        return 255.0 if largest <= 1 else 1.0, 255.0 if highest_alpha <= 1 else 1.0, ""
    deepest = 8 * dtype.itemsize - (dtype.kind == "i")  # one bit is the sign
    bits = _bits(highest, deepest)
    alpha_bits = max(bits, _bits(highest_alpha, deepest))
    if image.alpha == "premultiplied":
        bits = alpha_bits  # as colours are shares of their alpha
    told = f"{bits}-bit values in {8 * dtype.itemsize} bits" if bits < min(15, deepest) else ""
    return 255.0 / (2**bits - 1), 255.0 / (2**alpha_bits - 1), told


def _bits(highest: float, deepest: int) -> int:
    return min(deepest, next(bits for bits in (8, 10, 12, 14, 16) if highest < 2**bits))


def _range(image: Stored) -> tuple[float, float, float]:
    """The lowest value, the highest colour and the highest alpha."""
    # NumPy's min and max also over the bands: Python's would lose a NaN.
    lowest, highest, alpha = [], [], []
    for band in _bands(image.height, image.width):
        values = image.rows(band)
        lowest.append(values.min())
        if values.ndim == 3 and values.shape[2] in (2, 4):
            alpha.append(values[..., -1].max())
            values = values[..., :-1]
        highest.append(values.max())
    return np.min(lowest), np.max(highest), np.max(alpha or highest)


def _eight_bits(values: np.ndarray, scale: float) -> UInt8[np.ndarray, ...]:
    if values.dtype == np.uint8 and scale == 1:
        return values
    return np.rint(values.astype(np.float32) * np.float32(scale)).astype(np.uint8)


def _over_white(
    colours: UInt8[np.ndarray, "r w c"], opacity: UInt8[np.ndarray, "r w 1"], kind: Alpha
) -> UInt8[np.ndarray, "r w c"]:
    """Colours composited over white, rounded to nearest."""
    alpha = opacity.astype(np.uint16)  # the largest sum below is 65152: it fits
    if kind == "premultiplied":
        return np.minimum(colours + (255 - alpha), 255).astype(np.uint8)
    return ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
