"""Annotations of BSDS500 (Arbelaez et al., PAMI 2011)."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import scipy.io

from trace_edges.formats.truth import Segments, refusal


def read_bsds(path: str | PathLike[str]) -> list[Segments]:
    """The segments of an image as every annotator saw them; nothing is void.

    Args:
        path: .mat file with the cell `groundTruth` of structures `Segmentation`, `Boundaries`.

    Raises:
        GroundTruthError: the file is missing, damaged, of another make, or without annotator.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:  # given a path, loadmat would look elsewhere too
            content = scipy.io.loadmat(file, variable_names=["groundTruth"])
    except FileNotFoundError as error:
        raise refusal(path, "there is no such file", "add it or check the path") from error
    except NotImplementedError as error:
        raise refusal(path, "is a MATLAB 7.3 file", "save it again with the flag -v7") from error
    except Exception as error:  # loadmat raises nearly anything on damaged data
        raise refusal(path, f"cannot be read ({error})", "fetch it again") from error
    annotators = content.get("groundTruth", np.empty(0)).ravel()
    if not annotators.size:
        raise refusal(path, "holds no annotation in `groundTruth`", "give the BSDS500 groundTruth")
    try:
        return [_segments(cell) for cell in annotators]
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        problem = f"its `groundTruth` is not that of BSDS500 ({error})"
        mend = "every cell needs Segmentation and Boundaries, (h, w) of one size"
        raise refusal(path, problem, mend) from error


def _segments(cell: np.ndarray) -> Segments:
    drawn = cell[0, 0]
    labels = drawn["Segmentation"].astype(np.int32)
    return Segments(labels, np.zeros(labels.shape, dtype=bool), drawn["Boundaries"] > 0)
