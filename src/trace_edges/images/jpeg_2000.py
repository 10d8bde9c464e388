"""JPEG 2000 of other than 8 bits by imagecodecs: Pillow rounds the lightest of deep colours to 0,
and makes white of few bits grey.
"""

from __future__ import annotations

import struct
from types import ModuleType

from trace_edges.images.stored import Stored, refusal

_CODESTREAM = b"\xff\x4f\xff\x51"
_CHANNELS = 40  # bytes from there on: their number, and three bytes for each


def needs_codecs(content: bytes) -> bool:
    """Whether Pillow would not do; of channels of few bits beside others of 8 it would."""
    depths = _depths(content)
    return max(depths) > 8 or 8 not in depths


def _depths(content: bytes) -> set[int]:
    """Bits of the channels by the codestream's header (ISO/IEC 15444-1, SIZ)."""
    start = content.index(_CODESTREAM) + _CHANNELS
    (count,) = struct.unpack_from(">H", content, start)
    return {(depth & 127) + 1 for depth in content[start + 2 : start + 2 + 3 * count : 3]}


def read_jpeg_2000(content: bytes, imagecodecs: ModuleType, name: str) -> Stored:
    """The image as it is stored; its size was checked.

    Raises:
        ImageError: its channels are of several depths, or of a number that is no image.
        Exception: nearly anything that the decoder raises on damaged data.
    """
    (bits, *others) = _depths(content)
    values = imagecodecs.jpeg2k_decode(content)
    if others or values.ndim not in (2, 3) or values.shape[2:] not in ((), (1,), (2,), (3,), (4,)):
        raise refusal(name, f"has the shape {values.shape}, or several depths; save it as RGB")
    height, width = values.shape[:2]
    whole = bits % 8 == 0 or values.max() >= 2**bits
    return Stored(values.__getitem__, height, width, bits=None if whole else bits)
