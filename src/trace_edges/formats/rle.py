"""Masks in COCO's code, in and out: polygons, run lengths in a list, compressed run lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from trace_edges.extras import require

Size = tuple[int, int]  # height, width in pixels
Runs = Int64[np.ndarray, " runs"]

_ZERO = ord("0")
_LONGEST = 12  # characters of one run: 60 bits


def mask_runs(segmentation: Any, size: Size) -> Runs:
    """Lengths of the runs, down the columns, that are background and mask by turns.

    Args:
        segmentation: as an annotation has it: a list of polygons [x, y, x, y, ...], or a mapping
            whose `counts` are run lengths or compressed; its `size` is not looked at.
        size: (height, width) of the image.

    Raises:
        ImportError: it is polygons and pycocotools is not installed.
        ValueError: runs are damaged or do not fill the image; the message has no mend.
    """
    if isinstance(segmentation, Mapping):
        counts = segmentation["counts"]
    else:
        library = require("pycocotools.mask", "eval")
        counts = library.merge(library.frPyObjects(segmentation, *size))["counts"]
    if isinstance(counts, str | bytes):
        text = counts.encode(errors="surrogatepass") if isinstance(counts, str) else counts
        runs = _decompressed(text)
    else:
        runs = np.asarray(counts, dtype=np.int64)
    pixels = math.prod(size)
    if runs.size and (runs.min() < 0 or runs.max() > pixels):
        raise ValueError(f"its RLE is damaged: counts are less than 0 or more than {pixels} px")
    if (total := int(runs.sum())) != pixels:
        raise ValueError(f"its counts add up to {total} px, not {size[0]} x {size[1]}")
    return runs


def decode_runs(runs: Runs, size: Size) -> Bool[np.ndarray, "h w"]:
    """The mask of (height, width) whose runs these are."""
    inside = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, runs).reshape(size[::-1]).T)


def compress_runs(runs: Sequence[int] | Runs, size: Size) -> str:
    """Run lengths as COCO's text; needs pycocotools."""
    plain = {"size": list(size), "counts": [int(run) for run in runs]}
    library = require("pycocotools.mask", "eval")
    return library.frPyObjects(plain, *size)["counts"].decode("ascii")


def encode_mask(mask: Bool[np.ndarray, "h w"], extra: str = "export") -> dict[str, Any]:
    """A mask as compressed RLE: `size` and `counts`, plain JSON values.

    Args:
        mask: (h, w).
        extra: of this package, named where pycocotools is not installed.
    """
    coder = require("pycocotools.mask", extra)
    rle = coder.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode("ascii")}


def encode_crop(
    crop: Bool[np.ndarray, "a b"], window: tuple[slice, slice], size: Size, extra: str = "export"
) -> dict[str, Any]:
    """A mask as `encode_mask` gives it, from what it has in a window of the image of `size`."""
    require("pycocotools.mask", extra)
    return {"size": list(size), "counts": compress_runs(crop_runs(crop, window, size), size)}


def crop_runs(crop: Bool[np.ndarray, "a b"], window: tuple[slice, slice], size: Size) -> Runs:
    """The runs of a mask that has a pixel, from what it has in a window of the image of `size`.

    The time is that of the window, however large the image.
    """
    rows, columns = window
    padded = np.pad(crop, ((1, 1), (0, 0))).T.astype(np.int8)  # (columns, rows + 2)
    turns = np.diff(padded, axis=1)
    (at, start), (_, end) = np.nonzero(turns == 1), np.nonzero(turns == -1)
    ends = np.stack([start, end], axis=1) + (rows.start + (columns.start + at) * size[0])[:, None]
    # A run that ends with its column may go on with the next.
    goes_on = np.flatnonzero(ends[1:, 0] == ends[:-1, 1])
    places = np.delete(ends.ravel(), np.concatenate([2 * goes_on + 1, 2 * goes_on + 2]))
    runs: Runs = np.diff(places, prepend=0, append=size[0] * size[1])
    return runs if runs[-1] else runs[:-1]


def decode_crop(runs: Runs, size: Size) -> tuple[tuple[slice, slice], Bool[np.ndarray, "a b"]]:
    """The box of a mask that has a pixel, as rows and columns, and what the mask has in it."""
    first, last = column_span(runs, size)
    height = size[0]
    ends = np.clip(np.cumsum(runs), first * height, (last + 1) * height)
    inside = np.arange(len(runs)) % 2 == 1
    part = np.repeat(inside, np.diff(ends, prepend=first * height)).reshape(-1, height).T
    rows = np.flatnonzero(part.any(axis=1))
    window = slice(int(rows[0]), int(rows[-1]) + 1), slice(first, last + 1)
    return window, np.ascontiguousarray(part[window[0]])


def column_span(runs: Runs, size: Size) -> tuple[int, int]:
    """The first and the last column of a mask that has a pixel."""
    filled = np.flatnonzero(runs[1::2])
    ends = np.cumsum(runs)
    first, last = ends[2 * filled[0]], ends[2 * filled[-1] + 1] - 1
    return int(first) // size[0], int(last) // size[0]


def _decompressed(counts: bytes) -> Runs:
    """Compressed runs, which libraries may hang on where they are damaged.

    A character holds five bits, the lowest first, above "0"; its sixth bit says that the number
    goes on, and the highest bit of the last is the sign. From the fourth on, numbers are
    differences from the run before the last.
    """
    bits = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - _ZERO
    ends = np.flatnonzero((bits & 32) == 0)
    lengths = np.diff(ends, prepend=-1)
    whole = ends.size and ends[-1] == bits.size - 1
    if not whole or bits.min() < 0 or bits.max() > 63 or lengths.max() > _LONGEST:
        raise ValueError("its RLE is damaged: its counts cannot be decoded")
    starts = ends - lengths + 1
    place = np.arange(bits.size) - np.repeat(starts, lengths)
    runs = np.add.reduceat((bits & 31) << (5 * place), starts)
    runs -= np.where(bits[ends] & 16, 1 << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
