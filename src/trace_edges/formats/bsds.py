"""Annotations of BSDS500 (Arbelaez et al., PAMI 2011)."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from trace_edges.formats.arrays import open_regular
from trace_edges.formats.mat import read_variable
from trace_edges.formats.truth import Segments, refusal, refused


def read_bsds(path: str | PathLike[str]) -> list[Segments]:
    """The segments of an image as every annotator saw them; nothing is void.

    Args:
        path: .mat file with the cell `groundTruth` of structures `Segmentation`, `Boundaries`.

    Raises:
        GroundTruthError: the file is missing, damaged, of another make, or without annotator.
    """
    path = Path(path)
    with refused(path), open_regular(path, "give the file") as file:
        content = file.read()
    try:
        annotators = read_variable(content, "groundTruth")
    except NotImplementedError as error:
        raise refusal(path, "is a MATLAB 7.3 file", "save it again with the flag -v7") from error
    except MemoryError as error:
        raise refusal(path, "is too large for the memory", "fetch it again") from error
    except (ValueError, RecursionError) as error:
        raise refusal(path, f"cannot be read ({error})", "fetch it again") from error
    if annotators is None or not len(annotators):
        raise refusal(path, "holds no annotation in `groundTruth`", "give the BSDS500 groundTruth")
    try:
        return [_segments(cell) for cell in annotators]
    except (ValueError, IndexError, TypeError, KeyError) as error:
        problem = f"its `groundTruth` is not that of BSDS500 ({error})"
        mend = "every cell needs Segmentation and Boundaries, (h, w) of one size"
        raise refusal(path, problem, mend) from error


def _segments(cell: Any) -> Segments:
    (drawn,) = cell
    labels, boundaries = (np.asarray(drawn[key]) for key in ("Segmentation", "Boundaries"))
    if labels.dtype.kind not in "iuf" or not np.isfinite(labels).all():
        raise TypeError(f"Segmentation holds {labels.dtype}")
    labels = np.ascontiguousarray(labels.astype(np.int32))
    return Segments(labels, np.zeros(labels.shape, dtype=bool), boundaries > 0)
