"""Annotations of BSDS500 (Arbelaez et al., PAMI 2011)."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from os import PathLike
from pathlib import Path
from typing import IO

import numpy as np
import scipy.io

from trace_edges.files import FileError
from trace_edges.formats.arrays import open_regular
from trace_edges.formats.truth import Segments, refusal

_COMPRESSED = 15  # type of a data element of MATLAB 5
_PIECE, _LARGEST = 1 << 20, 1 << 30  # bytes


def read_bsds(path: str | PathLike[str]) -> list[Segments]:
    """The segments of an image as every annotator saw them; nothing is void.

    Args:
        path: .mat file with the cell `groundTruth` of structures `Segmentation`, `Boundaries`.

    Raises:
        GroundTruthError: the file is missing, damaged, of another make, or without annotator.
    """
    path = Path(path)
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # of odd tags, which are no concern here
            open_regular(path, "give the file") as file,  # given a path, loadmat looks elsewhere
        ):
            _check_inflated(file)
            content = scipy.io.loadmat(file, variable_names=["groundTruth"])
    except FileError as error:
        raise refusal(path, error.problem, error.mend) from error
    except FileNotFoundError as error:
        raise refusal(path, "there is no such file", "add it or check the path") from error
    except NotImplementedError as error:
        raise refusal(path, "is a MATLAB 7.3 file", "save it again with the flag -v7") from error
    except MemoryError as error:
        raise refusal(path, "is too large for the memory", "fetch it again") from error
    except Exception as error:  # loadmat raises nearly anything on damaged data
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise refusal(path, f"cannot be read ({reason})", "fetch it again") from error
    annotators = np.asarray(content.get("groundTruth", np.empty(0))).ravel()
    if not annotators.size:
        raise refusal(path, "holds no annotation in `groundTruth`", "give the BSDS500 groundTruth")
    try:
        return [_segments(cell) for cell in annotators]
    except (ValueError, IndexError, TypeError, AttributeError, KeyError) as error:
        problem = f"its `groundTruth` is not that of BSDS500 ({error})"
        mend = "every cell needs Segmentation and Boundaries, (h, w) of one size"
        raise refusal(path, problem, mend) from error


def _check_inflated(file: IO[bytes]) -> None:
    """Raises a `ValueError` where compressed variables unfold to more than any annotation has."""
    header = file.read(128)
    order = "<" if header[126:128] == b"IM" else ">"
    inflated = 0
    while len(tag := file.read(8)) == 8 and header[124:126] in (b"\0\1", b"\1\0"):
        kind, length = struct.unpack(f"{order}II", tag)
        if kind != _COMPRESSED:
            file.seek(length, os.SEEK_CUR)
            continue
        unfold, packed = zlib.decompressobj(), file.read(length)
        while packed and not unfold.eof:
            inflated += len(unfold.decompress(packed, _PIECE))
            packed = unfold.unconsumed_tail
            if inflated > _LARGEST:
                raise ValueError(f"it unfolds to more than {_LARGEST >> 20:,} MiB")
    file.seek(0)


def _segments(cell: np.ndarray) -> Segments:
    drawn = cell[0, 0]
    segmentation = np.asarray(drawn["Segmentation"])
    if segmentation.dtype.kind not in "iufb" or not np.isfinite(segmentation).all():
        raise TypeError(f"Segmentation holds {segmentation.dtype}")
    labels = segmentation.astype(np.int32)
    return Segments(labels, np.zeros(labels.shape, dtype=bool), drawn["Boundaries"] > 0)
