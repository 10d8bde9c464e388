"""Run lengths of COCO's compressed RLE, checked: libraries may hang on damaged ones."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int64

_ZERO = ord("0")
_LONGEST = 12  # characters of one run: 60 bits


def run_lengths(counts: str, size: tuple[int, int]) -> Int64[np.ndarray, " runs"]:
    """Lengths of the runs, down the columns, that are background and mask by turns.

    A character holds five bits, the lowest first, above "0"; its sixth bit says that the number
    goes on, and the highest bit of the last is the sign. From the fourth on, numbers are
    differences from the run before the last.

    Raises:
        ValueError: they are no such code, or do not fill (height, width).
    """
    bits = np.frombuffer(counts.encode("utf-8"), dtype=np.uint8).astype(np.int64) - _ZERO
    ends = np.flatnonzero((bits & 32) == 0)
    lengths = np.diff(ends, prepend=-1)
    whole = ends.size and ends[-1] == bits.size - 1
    if not whole or bits.min() < 0 or bits.max() > 63 or lengths.max() > _LONGEST:
        raise ValueError("its RLE is damaged: encode the mask again")
    starts = ends - lengths + 1
    place = np.arange(bits.size) - np.repeat(starts, lengths)
    runs = np.add.reduceat((bits & 31) << (5 * place), starts)
    runs -= np.where(bits[ends] & 16, 1 << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    if runs.min() < 0 or runs.sum() != math.prod(size):
        raise ValueError(f"its RLE does not fill {size[0]} x {size[1]} px: encode the mask again")
    return runs
