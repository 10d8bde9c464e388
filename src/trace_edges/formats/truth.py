"""Ground truth in memory: the segments of an image, and what is wrong with a file that has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int32

from trace_edges.files import FileError

Severity = Literal["error", "warning"]
Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments of one image as one annotator saw them, whatever file they came from.

    Attributes:
        labels: (h, w) one number per segment, void included.
        void: (h, w) pixels of which the ground truth says nothing: unlabelled, or a crowd.
        boundaries: (h, w) boundaries that were drawn as such, where a data set has them.
    """

    labels: Int32[np.ndarray, "h w"]
    void: Bool[np.ndarray, "h w"]
    boundaries: Bool[np.ndarray, "h w"] | None = None

    def __post_init__(self) -> None:
        shapes = {self.labels.shape, self.void.shape}
        if self.boundaries is not None:
            shapes.add(self.boundaries.shape)
        if len(shapes) > 1 or self.labels.ndim != 2:
            raise ValueError(f"labels, void and boundaries must have one size (h, w), not {shapes}")


# By image name (the stem of its file): a picklable function that reads its annotators, so that a
# data set never lies in memory and worker processes can read for themselves.
Reader = Callable[[], Sequence[Segments]]
GroundTruth = Mapping[str, Reader]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        subject: the file, or the image by name.
        problem: what is wrong with it.
        mend: what to do.
        severity: "error" where a score would be wrong or impossible, "warning" otherwise.
    """

    subject: str
    problem: str
    mend: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return " ".join(f"{self.subject}: {self.problem}; {self.mend}".split())


class GroundTruthError(ValueError):
    """Ground truth that cannot be used; it is raised with the `Finding` that says why."""

    @property
    def finding(self) -> Finding:
        """The finding that says why."""
        return self.args[0]


def refusal(subject: object, problem: str, mend: str) -> GroundTruthError:
    """The error of one line for a file that cannot be used."""
    return GroundTruthError(Finding(str(subject), problem, mend))


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Makes a `GroundTruthError` of a file that is missing or cannot be used."""
    try:
        yield
    except FileNotFoundError as error:
        raise refusal(path, "there is no such file", "add it or check the path") from error
    except FileError as error:
        raise refusal(path, error.problem, error.mend) from error


@dataclass(frozen=True)
class Inspection:
    """Findings on a data set before its images are read, and how to go on.

    Attributes:
        findings: what is wrong already.
        images: by image name, a function that reads its annotation and returns the size with
            what is wrong; where nothing can be read it raises `GroundTruthError` or `OSError`.
    """

    findings: list[Finding] = field(default_factory=list)
    images: Mapping[str, Callable[[], tuple[Size, list[Finding]]]] = field(default_factory=dict)
