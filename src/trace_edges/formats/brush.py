"""Label Studio's run lengths of brush strokes: masks into them, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool

from trace_edges.results.labels import Window

_WORD, _SIZES = 8, (3, 4, 8, 16)  # bits of a value, and of the lengths that a block may have
_CHANNELS = 4  # a brush stroke is an RGBA image


def brush_rle(crop: Bool[np.ndarray, "a b"], window: Window, size: tuple[int, int]) -> bytes:
    """A mask in Label Studio's run lengths: of its RGBA image, row by row, 255 inside.

    After the count of values (32 bits), the bits of a value less one (5) and of each kind of length
    less one (4 x 4), a run is: 1, which kind of length (2), the length less one, the value.

    Args:
        crop: the mask within its box.
        window: the rows and columns of the box.
        size: (h, w) of the image.
    """
    values = size[0] * size[1] * _CHANNELS
    rows, columns = np.nonzero(np.diff(crop, axis=1, prepend=False, append=False))
    places = (rows + window[0].start) * size[1] + columns + window[1].start
    # Where a row ends at the right border and the next begins at the left one, nothing changes.
    places, times = np.unique(places, return_counts=True)
    turns = np.concatenate([[0], _CHANNELS * places[times == 1], [values]])
    code = [f"{values:032b}", f"{_WORD - 1:05b}", *(f"{bits - 1:04b}" for bits in _SIZES)]
    longest = 2 ** _SIZES[-1]
    for number, length in enumerate(np.diff(turns).tolist()):
        word = "01"[number % 2] * _WORD
        full, rest = divmod(length, longest)
        code.append(_run(longest, word) * full + (_run(rest, word) if rest else ""))
    bits = "".join(code)
    count = -(-len(bits) // 8)
    return int(bits.ljust(8 * count, "0"), 2).to_bytes(count, "big")


def _run(length: int, word: str) -> str:
    kind = next(n for n, bits in enumerate(_SIZES) if length <= 2**bits)
    return f"1{kind:02b}{length - 1:0{_SIZES[kind]}b}{word}"


def brush_mask(code: Any, size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The mask of Label Studio's run lengths, as `brush_rle` writes them: where its RGBA image is
    not transparent.

    Raises:
        ValueError: they are damaged, or of another size.
    """
    try:
        bits = np.unpackbits(np.array(code, dtype=np.uint8))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("has no list of bytes as its RLE") from error
    text = (bits + ord("0")).tobytes().decode("ascii")
    place = 0

    def read(count: int) -> int:
        nonlocal place
        if place + count > len(text):
            raise ValueError("has an RLE that is cut off")
        place += count
        return int(text[place - count : place], 2)

    total, word = read(32), read(5) + 1
    if total != size[0] * size[1] * _CHANNELS or word != 8:
        raise ValueError(f"has an RLE of {total} values, and not 4 x {size[0]} x {size[1]}")
    lengths = [read(4) + 1 for _ in range(4)]
    values, done = np.zeros(total, dtype=np.uint8), 0
    while done < total:
        repeated, count = read(1), read(lengths[read(2)]) + 1
        end = done + count
        if end > total:
            raise ValueError("has an RLE that does not fill the image")
        if repeated:
            values[done:end] = read(word)
        else:
            values[done:end] = [read(word) for _ in range(count)]
        done = end
    return values.reshape(*size, _CHANNELS)[:, :, 3] > 0
