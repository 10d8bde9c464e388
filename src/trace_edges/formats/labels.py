"""Read label maps and drawn edge maps, one file per image."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from trace_edges.formats.findings import refusal
from trace_edges.formats.pictures import read_pixels
from trace_edges.formats.pixels import colour_ids
from trace_edges.formats.segments import Segments

VOID = 255  # of 8-bit label maps, as Pascal VOC has it
EDGE, IGNORED = 255, 127
_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "RGB")


def read_labels(path: str | PathLike[str]) -> list[Segments]:
    """The segments of a label map; one annotator.

    A label is the grey value, the palette index, R + 256 G + 65536 B, or the number in a .npy
    file. Void is 255 where there are 8 bits (grey or palette) and what is negative elsewhere; 0 is
    a segment like any other, as a background is.

    Args:
        path: PNG or TIFF of 1, 8 or 16 bits of grey, a palette or RGB; 32-bit TIFF; .npy (h, w).

    Raises:
        GroundTruthError: the file is missing, damaged, or no label map.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        values, mode = _read_npy(path), "npy"
    else:
        values, mode = read_pixels(path, _MODES, "a label map is grey, palette or RGB")
    if mode == "RGB":
        values = colour_ids(values)
    limits = np.iinfo(np.int32)
    if values.size and not limits.min <= values.min() <= values.max() <= limits.max:
        raise refusal(path, "has labels of more than 31 bits", "number the segments from 0")
    labels = values.astype(np.int32)
    return [Segments(labels, labels == VOID if mode in ("L", "P") else labels < 0)]


def read_drawn(path: str | PathLike[str]) -> list[Segments]:
    """A drawn edge map: 255 is an edge, 127 is void, 0 is neither; the labels are all 0.

    Raises:
        GroundTruthError: the file is missing or damaged, is not 8-bit grey, or has other values.
    """
    path = Path(path)
    values, mode = read_pixels(path, ("1", "L"), "a drawn edge map is 8-bit grey")
    values = values * np.uint8(EDGE) if mode == "1" else values
    others = np.setdiff1d(values, (0, IGNORED, EDGE))
    if others.size:
        problem = f"has the value {others[0]}, and a drawn edge map has 0, 127 (void), 255 (edge)"
        raise refusal(path, problem, "cut it at a threshold, or give it as labels")
    labels = np.zeros(values.shape, dtype=np.int32)
    return [Segments(labels, values == IGNORED, values == EDGE)]


def _read_npy(path: Path) -> Integer[np.ndarray, "h w"]:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        mend = "save one (h, w) array of integers with numpy.save"
        raise refusal(path, f"cannot be loaded ({error})", mend) from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "iub":
        held = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else "an archive"
        raise refusal(path, f"holds {held}", "a label map is one (h, w) array of integers")
    return values
