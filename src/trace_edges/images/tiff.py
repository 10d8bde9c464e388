"""TIFF as its tags mean it: `tifffile` reads grey, palettes and RGB of any depth and layout.

Other colour spaces (CMYK, YCbCr, LAB), and compressions for which `tifffile` needs `imagecodecs`
where that isn't installed, are left to Pillow as far as Pillow decodes them rightly.
"""

from __future__ import annotations

import ctypes
import logging
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin, _imaging

from trace_edges.images.stored import (
    LABELS,
    MAX_PIXELS,
    Alpha,
    Rows,
    Stored,
    check_memory,
    check_size,
    refusal,
)

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_REDUCED, _MASK = 1, 4  # bits of the tag NewSubfileType
_MOST_PAGES = 10_000  # that are counted
_DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, struct.error)
_PLAIN = ("MINISWHITE", "MINISBLACK", "RGB", "PALETTE")  # what is read here
_TIFFFILE = "tifffile.py"  # as software that wrote a file
_PILLOWS = ("SEPARATED", "YCBCR", "CIELAB", "ICCLAB", "ITULAB")


@dataclass(frozen=True, eq=False)
class Tiff:
    """The first page of a TIFF as it is stored.

    Attributes:
        values: (h, w) or (h, w, bands).
        photometric: what they mean: "MINISBLACK", "RGB", ...; of Pillow's images, "PILLOW".
        alpha: how the last band is one; None if it is none.
        bits: of every value.
        colours: (3, n) of a palette, 8 bits.
        image: what Pillow is to convert, where it is left to Pillow.
        compression: "JPEG", "NONE", ...; empty if it is unknown.
        pages: how many there are.
    """

    values: np.ndarray | None
    photometric: str
    orientation: int
    alpha: Alpha | None = None
    bits: int = 8
    colours: np.ndarray | None = None
    image: Image.Image | None = None
    notes: tuple[str, ...] = ()
    compression: str = ""
    pages: int = 1


def read_tiff(file: IO[bytes], name: str, *, smallest: bool = True) -> Tiff:
    """The first page that is neither a reduced image nor a mask.

    Args:
        file: at its start.
        name: of the file, for messages.
        smallest: refuse images below the smallest size too.

    Raises:
        ImageError: its size or kind will not do, or a library is missing.
        Exception: nearly anything that a decoder raises on damaged data.
    """
    with _first_page(file) as (page, index, pages):
        notes = (f"page {index + 1} of {pages}",) if pages > 1 else ()
        read = _read_page(file, page, index, notes, name, smallest)
        return replace(read, compression=getattr(page.compression, "name", ""), pages=pages)


def _read_page(
    file: IO[bytes], page: TiffPage, index: int, notes: tuple[str, ...], name: str, smallest: bool
) -> Tiff:
    height, width = page.imagelength, page.imagewidth
    if smallest:
        check_size(height, width, name)
    elif height * width > MAX_PIXELS:
        raise refusal(name, f"is {width} x {height} px; make it at most {MAX_PIXELS:,} pixels")
    if page.imagedepth != 1:
        raise refusal(name, f"is a volume of depth {page.imagedepth}; save one slice")
    held = page.samplesperpixel * (page.bitspersample + 7) // 8
    check_memory(height, width, held if smallest else held + LABELS, name)
    orientation = page.tags.valueof(274, 1)
    orientation = orientation if isinstance(orientation, int) else 1
    photometric = _photometric(page)
    if photometric == "YCBCR" and page.compression == 1 and page.subsampling in (None, (1, 1)):
        # Pillow writes such a file, and its version 12 cannot read it back.
        drawn = np.asarray(Image.fromarray(_decoded(page), "YCbCr").convert("RGB"))
        return Tiff(drawn, "RGB", orientation, notes=notes)
    if photometric in _PILLOWS:
        # Pillow takes planes of LAB as they are, and mixes up those of 16 bits.
        if page.planarconfig == 2 and ("LAB" in photometric or page.bitspersample > 8):
            raise refusal(name, f"is a TIFF of {photometric} in planes; save it as RGB")
        return Tiff(None, photometric, 1, image=_pillow(file, index), notes=notes)
    if photometric not in _PLAIN:
        raise refusal(name, f"is a TIFF of {photometric} pixels; save it as RGB")
    if page.dtype is None or page.dtype.kind not in "buif":
        kind = page.dtype or "bands of several types"
        raise refusal(name, f"holds {kind}; save it as 8 or 16 bits, or float")
    try:
        values = _decoded(page)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        return _by_pillow(file, page, index, orientation, notes, name)
    colours = _palette(page) if photometric == "PALETTE" else None
    values, alpha, left_out = _bands(values, page, photometric, name)
    return Tiff(
        values, photometric, orientation, alpha, page.bitspersample, colours,
        notes=(*notes, *left_out),
    )  # fmt: skip


def _photometric(page: TiffPage) -> str:
    """What the values mean; tifffile writes True as 1, and says of any booleans that 1 is black."""
    name = getattr(page.photometric, "name", "unknown")
    booleans = page.bitspersample == 1 and page.software == _TIFFFILE
    return "MINISBLACK" if booleans and name == "MINISWHITE" else name


def tiff_size(file: IO[bytes]) -> tuple[int, int]:
    """Height and width of the page that `read_tiff` reads, its orientation applied."""
    with _first_page(file) as (page, _, _):
        size = page.imagelength, page.imagewidth
        turned = page.tags.valueof(274, 1) in (5, 6, 7, 8)
    return size[::-1] if turned else size


def stored_tiff(tiff: Tiff) -> Stored:
    """The page as an image; not for what is left to Pillow."""
    assert tiff.values is not None
    values, inverted = tiff.values, tiff.photometric == "MINISWHITE"
    height, width = values.shape[:2]
    bits = tiff.bits if tiff.bits % 8 else None
    rows: Rows = values.__getitem__
    if tiff.colours is not None:
        rows, bits = partial(_coloured, values, tiff.colours.T.astype(np.uint8)), None
    return Stored(
        rows, height, width, tiff.orientation, tiff.alpha or "straight", None, inverted, bits,
        notes=tiff.notes,
    )  # fmt: skip


def _coloured(values: np.ndarray, table: np.ndarray, band: slice) -> np.ndarray:
    """Rows of a palette image in the colours of the table (n, 3)."""
    part = values[band]
    if part.ndim == 2:
        return table[np.minimum(part, len(table) - 1)]
    drawn = table[np.minimum(part[..., 0], len(table) - 1)]
    return np.concatenate([drawn, part[..., 1:].astype(np.uint8)], axis=-1)


@contextmanager
def _first_page(file: IO[bytes]) -> Iterator[tuple[TiffPage, int, int]]:
    """The first whole page of a file, its index, and how many there are."""
    import tifffile

    _silence_tifffile()
    with tifffile.TiffFile(file) as tiff:
        index, pages = _first(tiff)
        page = tiff.pages[index]
        yield (page if isinstance(page, tifffile.TiffPage) else page.aspage()), index, pages


def _first(tiff: TiffFile) -> tuple[int, int]:
    """Index of the first whole page, and how many there are."""
    whole: list[int] = []
    seen: set[int] = set()
    length = 0
    try:
        for index, page in enumerate(tiff.pages):
            # Pages that lead back to one another, or lie on one another, would have no end.
            length += 12 * len(getattr(page, "tags", ()))
            if page.offset in seen or length > tiff.filehandle.size or index == _MOST_PAGES:
                break
            seen.add(page.offset)
            if not int(getattr(page, "subfiletype", 0) or 0) & (_REDUCED | _MASK):
                whole.append(index)
        stack: Any = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
        pages = max(len(whole), int(stack.get("images", 1)))
    except _DAMAGE:  # of a later page: the first may be sound
        pages = max(1, len(whole))
    return (whole[0] if whole else 0), pages


def _decoded(page: TiffPage) -> np.ndarray:
    """(h, w) or (h, w, bands)."""
    stored = page.asarray(squeeze=False, maxworkers=1)  # (planes, depth, h, w, samples)
    values = stored[:, 0]
    values = np.moveaxis(values[..., 0], 0, -1) if len(values) > 1 else values[0]
    return values[..., 0] if values.shape[-1] == 1 else values


def _bands(
    values: np.ndarray, page: TiffPage, photometric: str, name: str
) -> tuple[np.ndarray, Alpha | None, tuple[str, ...]]:
    """The bands that make an image, how the last is alpha, and what was left out or taken as."""
    bands = 1 if values.ndim == 2 else values.shape[-1]
    extras = [int(kind) for kind in page.extrasamples]
    marked = [bands - len(extras) + at for at, kind in enumerate(extras) if kind in (1, 2)]
    alpha = marked[0] if marked else None
    colours = 3 if photometric == "RGB" else 1
    notes = []
    if photometric in ("MINISBLACK", "MINISWHITE") and bands - len(marked) > 2:
        if bands - len(marked) != 3:
            kind = f"{bands} bands of {page.bitspersample} bits ({page.dtype})"
            raise refusal(name, f"has {kind}; give 1, or 3 for red, green and blue")
        colours = 3
        notes.append("3 bands taken as red, green and blue")
    if bands < colours:
        raise refusal(name, f"has {bands} bands where RGB needs 3; save it again")
    wanted = [*range(colours), *([] if alpha is None else [alpha])]
    others = [str(band + 1) for band in range(bands) if band not in wanted]
    if others:
        plural = "bands" if len(others) > 1 else "band"
        notes.append(f"{plural} {', '.join(others)} of {bands} left out")
    if bands > 1 and wanted != list(range(bands)):
        values = values[..., wanted] if len(wanted) > 1 else values[..., wanted[0]]
    way: Alpha | None = None
    if alpha is not None:
        way = "premultiplied" if extras[alpha - (bands - len(extras))] == 1 else "straight"
    return values, way, tuple(notes)


def _palette(page: TiffPage) -> np.ndarray:
    """(3, n) in 8 bits; some writers leave the upper bytes empty."""
    colours = np.asarray(page.colormap)
    return colours >> 8 if colours.max(initial=0) > 255 else colours


@cache
def _silence_tifffile() -> None:
    """Its warnings on odd tags would go to standard error, where messages are expected."""
    logging.getLogger("tifffile").addHandler(logging.NullHandler())


@cache
def _silence_libtiff() -> None:
    """Has Pillow's libtiff print nothing on damaged data: what is wrong is raised all the same."""
    with suppress(AttributeError, OSError):  # a build in which it cannot be reached
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _pillow(file: IO[bytes], index: int) -> Image.Image:
    """The page for Pillow, which turns it upright as it loads."""
    _silence_libtiff()
    file.seek(0)
    image = TiffImagePlugin.TiffImageFile(file)
    image.seek(index)
    if image.tile:
        make_room(image)
    image.load()
    return image


def make_room(image: TiffImagePlugin.TiffImageFile) -> None:
    """Make the memory for an image that is not loaded yet; Pillow would do so under its limit."""
    image.im = Image.new(image.mode, (image.tag_v2[256], image.tag_v2[257])).im  # as stored


def _by_pillow(
    file: IO[bytes], page: TiffPage, index: int, orientation: int, notes: tuple[str, ...],
    name: str,
) -> Tiff:  # fmt: skip
    """A page whose compression `tifffile` needs imagecodecs for."""
    bits, bands = page.bitspersample, page.samplesperpixel
    photometric = _photometric(page)
    meant = photometric == getattr(page.photometric, "name", "")  # and not otherwise than Pillow
    shallow = bits in (1, 8) and meant and photometric in _PLAIN and bands <= 4
    deep = bits == 16 and page.dtype == np.uint16 and page.planarconfig == 1
    if shallow and not (bands == 4 and not any(page.extrasamples)):
        return Tiff(None, photometric, 1, bits=bits, image=_pillow(file, index), notes=notes)
    if deep and photometric == "MINISBLACK" and bands == 1:
        values = _raw(file, index, "I;16N").astype(np.uint16)
        return Tiff(values, photometric, orientation, bits=bits, notes=notes)
    if deep and photometric == "RGB" and bands == 3:
        # Pillow keeps one byte of two: it decodes the file once for each.
        low, high = "RGB;16B", "RGB;16L"  # of what libtiff gives in the order of this machine
        if sys.byteorder == "big":
            low, high = high, low
        upper = _raw(file, index, high).astype(np.uint16) << 8
        values = upper | _raw(file, index, low)
        return Tiff(values, photometric, orientation, bits=bits, notes=notes)
    kind = getattr(page.compression, "name", page.compression)
    raise refusal(name, f'is a TIFF compressed by {kind}: pip install "trace-edges[formats]"')


def _raw(file: IO[bytes], index: int, raw_mode: str) -> np.ndarray:
    """The values that Pillow decodes by another raw mode than its own, not turned."""
    _silence_libtiff()
    file.seek(0)
    image = TiffImagePlugin.TiffImageFile(file)
    image.seek(index)
    image.tile = [
        ImageFile._Tile(*tile[:3], (raw_mode, *tuple(tile[3] or ())[1:])) for tile in image.tile
    ]
    if 274 in image.tag_v2:
        del image.tag_v2[274]  # the caller turns it
    image.load()
    return np.asarray(image)
