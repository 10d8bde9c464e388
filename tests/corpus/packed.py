"""Pictures, and tars and headers of tars that no packer would write."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable

import numpy as np
from PIL import Image

BLOCK = 512
END = bytes(2 * BLOCK)


def png(number: int = 1, side: int = 24) -> bytes:
    """A picture of its own for every number."""
    pixels = np.full((side, side, 3), 40 + 7 * (number % 20), np.uint8)
    pixels[6:16, 4:14] = (250, 10 * (number % 25), 30)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def padded(content: bytes) -> bytes:
    """Filled up to whole blocks."""
    return content + bytes(-len(content) % BLOCK)


def header(name: str | bytes, size: int, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A header of ustar; `fields` (digits, link, checksum, magic) replace what would be there."""
    block = bytearray(BLOCK)
    raw = name if isinstance(name, bytes) else name.encode()
    block[: min(100, len(raw))] = raw[:100]
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136] = fields.get("digits", f"{size:011o}\0".encode())
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    link = fields.get("link", b"")
    block[157 : 157 + len(link)] = link
    block[257:265] = fields.get("magic", b"ustar\x0000")
    block[148:156] = b" " * 8
    block[148:156] = fields.get("checksum", f"{sum(block):06o}\0 ".encode())
    return bytes(block)


def member(name: str | bytes, content: bytes, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A header and what follows it."""
    return header(name, len(content), kind, **fields) + padded(content)


def pax(**values: str | bytes) -> bytes:
    """A pax header, as it stands before the member that it is about."""
    content = b"".join(map(_record, values.items()))
    return member("pax", content, b"x")


def _record(pair: tuple[str, str | bytes]) -> bytes:
    key, value = pair
    line = (
        b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
    )
    length = len(line) + 1
    while len(str(length)) + len(line) != length:
        length += 1
    return str(length).encode() + line


def tar(members: Iterable[tuple[str, bytes]], how: int = tarfile.PAX_FORMAT) -> bytes:
    """A sound tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=how) as packed:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return content.getvalue()
