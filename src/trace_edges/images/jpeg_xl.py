"""JPEG XL by imagecodecs; the declared size is read first, as the decoder knows no bound."""

from __future__ import annotations

from types import ModuleType

from trace_edges.images.stored import Stored, check_memory, check_size, refusal

_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height


def is_jpeg_xl(signature: bytes) -> bool:
    """The first bytes are those of JPEG XL."""
    return signature.startswith((_CODESTREAM, _CONTAINER))


def read_jpeg_xl(content: bytes, imagecodecs: ModuleType, name: str) -> Stored:
    """The image as it is stored, upright, of its first frame.

    Raises:
        ImageError: its size will not do.
        Exception: nearly anything that the decoder raises on damaged data.
    """
    height, width, bits = _declared(content)
    check_size(height, width, name)
    check_memory(height, width, 8, name)
    values = imagecodecs.jpegxl_decode(content, index=0)
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 2, 3, 4)):
        raise refusal(name, f"has the shape {values.shape}; save it as RGB")
    whole = values.dtype.kind == "f" or bits % 8 == 0 or values.max() >= 2**bits
    height, width = values.shape[:2]
    return Stored(values.__getitem__, height, width, bits=None if whole else bits)


def declared_size(content: bytes) -> tuple[int, int]:
    """Height and width, upright as the decoder gives the image."""
    height, width, _ = _declared(content)
    return height, width


def _declared(content: bytes) -> tuple[int, int, int]:
    """Height, width and bits of a value by the codestream's header (ISO/IEC 18181-1, SizeHeader and
    ImageMetadata); 0 bits where other entries come before them, or values are floats.
    """
    start = content.index(_CODESTREAM) + len(_CODESTREAM)
    if content.startswith(_CONTAINER):
        box = max(content.find(b"jxlc"), content.find(b"jxlp"))
        start = content.index(_CODESTREAM, box) + len(_CODESTREAM)
    bits = int.from_bytes(content[start : start + 16], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    across, down = _RATIOS[ratio - 1]
    width = height * across // down if ratio else side()
    if take(1):  # all is as usual
        return height, width, 8
    turned = further = 0
    if take(1):
        turned, further = take(3) >= 4, take(3)  # EXIF's orientation less one; a size, a preview
    depth = 0
    if not further and not take(1):  # of floats
        depth = (8, 10, 12)[kind] if (kind := take(2)) < 3 else take(6) + 1
    return (width, height, depth) if turned else (height, width, depth)
