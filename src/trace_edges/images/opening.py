"""The one place where encoded images are opened: by their first bytes, from a list of formats.

Pillow alone would open some seventy kinds, among them PostScript, for which it runs Ghostscript.
"""

from __future__ import annotations

import io
import logging
import os
import re
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import IO

import numpy as np
from PIL import EpsImagePlugin, ExifTags, Image, ImageFile, TiffImagePlugin, features

from trace_edges.extras import MissingExtraError, require
from trace_edges.files import FileError
from trace_edges.images.jpeg_2000 import needs_codecs, read_jpeg_2000
from trace_edges.images.jpeg_xl import declared_size, is_jpeg_xl, read_jpeg_xl
from trace_edges.images.png import deep_mode, deep_values, open_png
from trace_edges.images.stored import ImageError, Stored, check_memory, check_size, refusal
from trace_edges.images.tiff import make_room, read_tiff, stored_tiff, tiff_size

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")  # that Pillow always reads
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_LONGEST_REASON = 200  # characters of a decoder's message
_NOBODY = logging.NullHandler()  # added once, however often it is
_UNLIMITED = 89_000_000  # pixels; beyond, Pillow warns when it looks for further frames
# What other files begin with, for a message that names them.
_KNOWN = (
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"%PDF", "a PDF"),
    (rb"\s*<\?xml|\s*<svg", "XML or SVG"),
    (rb"\s*<!DOCTYPE html|\s*<html", "a web page"),
    (rb"8BPS", "a Photoshop file"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"SIMPLE  =", "FITS"),
    (rb"\x89HDF", "HDF5"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"P[1-7]\s", "a Netpbm image"),
    (rb"\x00\x00\x01\x00", "a Windows icon"),
    (rb"FUJIFILM|IIRO|IIU\x00", "a raw photograph"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"version https://git-lfs", "a pointer of Git LFS, whose file was not fetched"),
)


def open_file(path: str | os.PathLike[str], name: str) -> io.BufferedReader:
    """An ordinary file opened for reading: a pipe or a device would keep us waiting for ever.

    Raises:
        ImageError: it is missing, no ordinary file, or cannot be opened.
    """
    if re.match(r"https?:[/\\]", str(path), re.IGNORECASE):
        raise refusal(name, "is a web address; download it first and give the file")
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise refusal(name, "is a folder; give the image files in it")
        if not stat.S_ISREG(mode):
            raise refusal(name, "is a pipe, a socket or a device; give an image file")
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise refusal(name, "there is no such file; check the path") from error
    except OSError as error:
        raise refusal(name, f"cannot be opened ({error.strerror}); check its rights") from error
    except ImageError:
        raise
    except ValueError as error:  # a NUL, or what no file name can hold
        raise refusal(name, "there is no such file; check the path") from error


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Whatever a decoder raises on damaged data (nearly anything) becomes one ImageError.

    What it warns of, such as odd tags, is no concern where the pixels are sound.
    """
    try:
        logging.getLogger("PIL").addHandler(_NOBODY)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    except (ImageError, FileError):
        raise
    except MemoryError as error:
        problem = (
            "needs more memory than is free; make it smaller, or fetch it again if it is small"
        )
        raise refusal(name, problem) from error
    except Exception as error:
        reason = f" ({str(error)[:_LONGEST_REASON]})" if str(error) else ""
        problem = f"cannot be decoded{reason}; it is damaged or too unusual, save it again"
        raise refusal(name, problem) from error


def is_tiff(signature: bytes) -> bool:
    """The first bytes are those of a TIFF or BigTIFF."""
    return signature[:4] in _TIFF


def begin(file: IO[bytes], name: str) -> bytes:
    """The first bytes of a file, which is at its start again.

    Raises:
        ImageError: it is empty.
    """
    file.seek(0)
    signature = file.read(64)
    file.seek(0)
    if not signature:
        raise refusal(name, "is empty (0 bytes); fetch or save it again")
    return signature


def stored_size(file: IO[bytes], name: str) -> tuple[int, int]:
    """Height and width by the header, upright. Errors: `open_pillow`."""
    signature = begin(file, name)
    if is_tiff(signature):
        return tiff_size(file)
    if is_jpeg_xl(signature):
        return declared_size(file.read())
    image = open_pillow(file, name)
    turned = orientation_of(image) in (5, 6, 7, 8)
    return (image.width, image.height) if turned else (image.height, image.width)


def read_stored(file: IO[bytes], name: str) -> Stored:
    """The image of an encoded file as it is stored.

    Raises:
        ImageError: it is of no format that is read, damaged, or of another size.
    """
    with decoding(name):
        signature = begin(file, name)
        if is_tiff(signature):
            tiff = read_tiff(file, name)
            if tiff.image is not None:
                return from_pillow(tiff.image, name, notes=tiff.notes)
            return stored_tiff(tiff)
        if is_jpeg_xl(signature):
            return read_jpeg_xl(file.read(), _library("imagecodecs", "JPEG XL", name), name)
        image = open_pillow(file, name)
        raw_mode = deep_mode(image)
        jpeg_2000 = image.mode != "P" and signature.startswith(_JPEG_2000)
        content = _whole(file) if jpeg_2000 else b""
        by_codecs = jpeg_2000 and needs_codecs(content)
        if not (raw_mode or by_codecs):
            return from_pillow(image, name)
        check_size(image.height, image.width, name)
        check_memory(image.height, image.width, 20, name)
        if by_codecs:
            library = _library("imagecodecs", "JPEG 2000 of other than 8 bits", name)
            return read_jpeg_2000(content, library, name)
        values, whole = deep_values(file, raw_mode)
        key = image.info.get("transparency")
        return Stored(
            values.__getitem__, image.height, image.width, orientation_of(whole),
            key=tuple(key) if isinstance(key, tuple) else None, notes=frames_of(image),
        )  # fmt: skip


def open_pillow(file: IO[bytes], name: str) -> Image.Image:
    """An image that is no TIFF, not decoded yet, if it is of a format that is read.

    Pillow's readers are called directly: `Image.open` warns from 89 megapixels on and refuses
    from 179, and that limit could be raised only for the whole process.

    Raises:
        ImageError: it is empty, of another format, or needs a library that is not installed.
        Exception: nearly anything that a decoder raises on damaged data.
    """
    signature = begin(file, name)
    Image.init()  # registers the readers, once
    for known in _FORMATS:
        reader, accepts = Image.OPEN[known]
        if accepts is None or accepts(signature[:16]):
            return open_png(file) if known == "PNG" else reader(file, "")
    if signature.startswith(_JPEG_2000):
        return _further("JPEG2000", "jpg_2000", file, name)
    if signature[4:8] == b"ftyp":
        brands = {signature[at : at + 4] for at in range(8, len(signature), 4)}
        if brands & {b"avif", b"avis"}:
            return _further("AVIF", "avif", file, name)
        if brands & _HEIC:
            return _library("pillow_heif", "HEIC", name).HeifImageFile(file)
    other = next((kind for begins, kind in _KNOWN if re.match(begins, signature)), None)
    what = f"is {other}: it is not" if other else "is not"
    raise refusal(name, f"{what} a JPEG, PNG, WebP, TIFF, BMP or GIF image; convert it to one")


def from_pillow(image: Image.Image, name: str, notes: tuple[str, ...] = ()) -> Stored:
    """An image of Pillow's as it is stored; it is loaded.

    Raises:
        ImageError: its size will not do, or its format calls other programs.
        Exception: nearly anything that a decoder raises on damaged data.
    """
    check_size(image.height, image.width, name)
    if isinstance(image, EpsImagePlugin.EpsImageFile | ImageFile.StubImageFile):
        raise refusal(name, f"is {image.format}, which other programs draw; convert it to PNG")
    notes += frames_of(image)
    if getattr(image, "tile", None):
        check_memory(image.height, image.width, 4, name)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tile:
        make_room(image)
    image.load()  # before the orientation is asked for: a TIFF is turned upright as it loads
    image = image.convert("LA") if image.mode == "La" else image  # Pillow knows no other way out
    deep = image.mode == "F" or image.mode.startswith("I")
    mode = image.mode if deep else "RGBA" if image.has_transparency_data else "RGB"

    def rows(band: slice) -> np.ndarray:
        return np.asarray(image.crop((0, band.start, image.width, band.stop)).convert(mode))

    key = image.info.get("transparency") if deep else None
    keyed = (key,) if isinstance(key, int) else None
    return Stored(rows, image.height, image.width, orientation_of(image), key=keyed, notes=notes)


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation; 1 where there is none that can be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error, OSError):
        return 1  # damaged metadata is no reason to refuse good pixels
    return orientation if isinstance(orientation, int) else 1


def frames_of(image: Image.Image) -> tuple[str, ...]:
    """Which frame it is, where there are several."""
    if image.width * image.height > _UNLIMITED or isinstance(image, TiffImagePlugin.TiffImageFile):
        return ()
    try:
        frames = getattr(image, "n_frames", 1)
    except (EOFError, OSError, ValueError, SyntaxError, struct.error, KeyError, IndexError):
        return ()  # a later frame is damaged: the first may be sound
    return (f"frame {image.tell() + 1} of {frames}",) if frames > 1 else ()


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _further(kind: str, feature: str, file: IO[bytes], name: str) -> Image.Image:
    """An image of a format that not every build of Pillow has."""
    if kind not in Image.OPEN or not features.check(feature):
        raise refusal(
            name, f'is {kind}, which this Pillow lacks: pip install "trace-edges[formats]"'
        )
    return Image.OPEN[kind][0](file, "")


def _library(module: str, kind: str, name: str) -> ModuleType:
    try:
        return require(module, "formats")
    except MissingExtraError as error:
        raise refusal(name, f"is {kind}, and {error}") from error
