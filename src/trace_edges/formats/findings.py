"""What is wrong with ground truth: which file, what, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trace_edges.files import FileError

Severity = Literal["error", "warning"]
Size = tuple[int, int]  # height, width in pixels


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
        """What is wrong."""
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
class Survey:
    """What can be said of a data set before its pictures are read, and how to go on.

    Attributes:
        findings: what is wrong already.
        inspections: by image name, a function that reads its annotation and returns the size with
            what is wrong; where nothing can be read it raises `GroundTruthError` or `OSError`.
    """

    findings: list[Finding] = field(default_factory=list)
    inspections: Mapping[str, Callable[[], tuple[Size, list[Finding]]]] = field(
        default_factory=dict
    )
