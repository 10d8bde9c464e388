"""PNG where Pillow alone would not do: large metadata, and colours of 16 bits."""

from __future__ import annotations

import io
import struct
import zlib
from typing import IO

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin

_SIGNATURE = 8  # bytes
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Texts that may hold an orientation; Pillow reads them up to these sizes.
_ORIENTING = (b"Raw profile type exif\0", b"Raw profile type APP1\0", b"XML:com.adobe.xmp\0")
_LONGEST_TEXT = 1 << 20
SPREAD = {"L;2": 85, "L;4": 17}  # by which Pillow multiplies grey of few bits
# By Pillow's mode and raw mode: the raw modes that give the two bytes of every value, high first.
_DEEP = {"RGB;16B": ("RGB;16B", "RGB;16L"), "RGBA;16B": ("RGBA;16B", "RGBA;16L")}


def open_png(file: IO[bytes]) -> Image.Image:
    """The PNG, not decoded yet, with the key that is transparent in Pillow's values."""
    image = PngImagePlugin.PngImageFile(without_texts(file))
    key = image.info.get("transparency")
    if isinstance(key, int):
        image.info["transparency"] = key * SPREAD.get(raw_mode(image), 1)
    return image


def without_texts(file: IO[bytes]) -> IO[bytes]:
    """The PNG without texts that pixels don't need, as Pillow refuses a file for large ones."""
    end = file.seek(0, io.SEEK_END)
    place, kept, left_out = _SIGNATURE, [(0, _SIGNATURE)], False
    while place + 8 <= end:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        following = place + 12 + length
        if kind in _TEXTS and not _orients(file.read(min(length, _LONGEST_TEXT + 1)), kind):
            left_out = True
        else:
            kept.append((place, min(following, end)))
        place = following
    if not left_out:
        file.seek(0)
        return file
    parts = []
    for begin, stop in kept:
        file.seek(begin)
        parts.append(file.read(stop - begin))
    return io.BytesIO(b"".join(parts))


def _orients(text: bytes, kind: bytes) -> bool:
    if not text.startswith(_ORIENTING) or len(text) > _LONGEST_TEXT:
        return False
    if kind == b"tEXt":
        return True
    start = text.index(b"\0") + 1
    if kind == b"iTXt":
        if text[start : start + 1] != b"\1":
            return True
        start = text.find(b"\0", text.find(b"\0", start + 2) + 1)
    inflate = zlib.decompressobj()
    try:
        inflate.decompress(text[start + 1 :], _LONGEST_TEXT)
    except zlib.error:
        return False
    return not inflate.unconsumed_tail


def deep_mode(image: Image.Image) -> str:
    """Pillow's raw mode of a PNG with 16 bits in several channels, of which it keeps 8; else ""."""
    mode = raw_mode(image)
    return mode if mode in (*_DEEP, "LA;16B") else ""


def raw_mode(image: Image.Image) -> str:
    """Pillow's raw mode of a PNG that is not loaded yet; "" of others."""
    tile = getattr(image, "tile", None)
    return str(tile[0][3]) if tile and isinstance(image, PngImagePlugin.PngImageFile) else ""


def deep_values(file: IO[bytes], mode: str) -> tuple[np.ndarray, Image.Image]:
    """All 16 bits of a PNG, (h, w, 3) RGB, (h, w, 4) RGBA or (h, w, 2) grey and alpha, uint16, and
    the image with its metadata, loaded.
    """
    if mode == "LA;16B":
        whole = _decoded(file, "RGBA")
        grey_high, grey_low, high, low = np.moveaxis(np.asarray(whole), 2, 0)
        return np.stack([_joined(grey_high, grey_low), _joined(high, low)], axis=-1), whole
    high_mode, low_mode = _DEEP[mode]
    upper = np.asarray(_decoded(file, high_mode))
    whole = _decoded(file, low_mode)
    return _joined(upper, np.asarray(whole)), whole


def _decoded(file: IO[bytes], mode: str) -> Image.Image:
    image = PngImagePlugin.PngImageFile(without_texts(file))
    image.tile = [ImageFile._Tile(*tile[:3], mode) for tile in image.tile]
    image.load()
    return image


def _joined(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    values = high.astype(np.uint16)
    values <<= 8
    values |= low
    return values
