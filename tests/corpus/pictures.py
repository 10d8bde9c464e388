"""Encoded images in memory, sound and not, and the files that pretend to be images."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

MARKER = "ghostscript_was_run"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\nshowpage\n%%EOF\n"
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
WMF = b"\xd7\xcd\xc6\x9a" + struct.pack("<HhhhhHI", 0, 0, 0, 32, 32, 72, 0) + bytes(40)
EMF = struct.pack("<II4i4i", 1, 88, 0, 0, 32, 32, 0, 0, 32, 32) + b" EMF" + bytes(60)


def colours(height: int = 32, width: int = 40) -> np.ndarray:
    """(h, w, 3) uint8 in which no two corners are alike."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 7 % 256, columns * 5 % 256, (rows + columns) % 256], -1).astype("u1")


def encoded(image: Image.Image | np.ndarray, form: str, **options: object) -> bytes:
    """An image as a file of a format of Pillow's."""
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    drawn.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    """A chunk of a PNG."""
    right = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", right)


def png(
    width: int = 32, height: int = 32, depth: int = 8, colour: int = 0, data: bytes | None = None,
    before: bytes = b"", packed: bytes | None = None,
) -> bytes:  # fmt: skip
    """A PNG with a header that may say what is not so."""
    if data is None:
        data = (b"\0" + bytes(range(32))) * 32
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    packed = zlib.compress(data) if packed is None else packed
    whole = chunk(b"IHDR", head) + before + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + whole


def tiff(*tags: tuple[int, int, int, int], data: bytes = bytes(1024)) -> bytes:
    """A little-endian TIFF of 32 x 32 of 8 bits of grey, with some (tag, type, count, value)."""
    usual = {
        256: (4, 1, 32), 257: (4, 1, 32), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1),
        273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, 32), 279: (4, 1, 1024),
    }  # fmt: skip
    usual |= {tag: (kind, count, value) for tag, kind, count, value in tags}
    entries = b"".join(struct.pack("<HHII", tag, *usual[tag]) for tag in sorted(usual))
    at = 8 + len(data)
    directory = struct.pack("<H", len(usual)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", at) + data + directory


def fake_ghostscript(folder: Path) -> dict[str, str]:
    """Puts a fake `gs` on the path, which leaves a marker; the environment for it."""
    place = folder / "fake_bin"
    place.mkdir()
    marker = folder / MARKER
    for name in ("gs", "gswin64c", "convert", "magick", "pdftoppm"):
        (place / name).write_text(f"#!/bin/sh\necho run >> '{marker}'\n", encoding="utf-8")
        (place / name).chmod(0o755)
    return {"PATH": f"{place}:/usr/bin:/bin"}
