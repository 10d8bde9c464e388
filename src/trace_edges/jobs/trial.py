"""What a job will cost: a few of its images are done elsewhere, and measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from trace_edges.jobs.entries import Entry, Source
from trace_edges.jobs.job import Job, Status, annotate
from trace_edges.jobs.sinks import Sink
from trace_edges.outputs import JOB


@dataclass(frozen=True)
class Trial:
    """What was measured on some images of a job.

    Attributes:
        images: how many the job has.
        measured, failed: how many of them were done, and how many could not be.
        seconds: of the clock for an image, with one process that has all threads.
        core_seconds: of one core for an image, as a process of `--actors` needs them.
        result_bytes: of the results of an image.
        memory: bytes of one process with the model.
        cores: of this machine.
    """

    images: int
    measured: int
    failed: int
    seconds: float
    core_seconds: float
    result_bytes: float
    memory: int
    cores: int

    def hours(self, actors: int | None = None) -> float:
        """Of the whole job: in one process, or in so many of one core each, here or on other
        machines of the kind.
        """
        each = self.seconds if actors is None else self.core_seconds / actors
        return self.images * each / 3600


@dataclass(frozen=True)
class _Chosen:
    """Some entries of a source."""

    source: Source
    chosen: tuple[Entry, ...]

    def describe(self) -> dict[str, Any]:
        return {"trial": len(self.chosen)}

    def check(self) -> None:
        self.source.check()

    def entries(self) -> Iterator[Entry]:
        yield from self.chosen


def measure(job: Job, sink: Callable[[str], Sink], count: int = 10) -> Trial:
    """Do `count` images of a job, spread over its inputs, in a temporary folder.

    The first image is left out of the times, since much is done once. Nothing is written to the
    destination of the job.

    Args:
        job: the whole of it.
        sink: makes the sink of the job for another folder.
        count: how many are measured.

    Raises:
        OSError, ValueError: as `annotate` does; none of the images can be done.
    """
    job.source.check()
    own = (entry for entry in job.source.entries() if entry.key in job.shard)
    chosen, total = _spread(own, count + 1)  # and one to begin with
    if not total:
        raise ValueError("there is no image to measure: check the source")
    marks: list[tuple[float, float]] = []

    def mark(status: Status) -> None:
        if status.now or not marks:
            marks.append((time.perf_counter(), time.process_time()))

    with TemporaryDirectory() as folder:
        trial = replace(
            job, source=_Chosen(job.source, chosen), sink=sink(folder), dest=folder, workers=0,
            batch_size=1, state=None, retry=False,
        )  # fmt: skip
        status = annotate(trial, mark)
        if not status.done:
            raise ValueError(f"none of {len(chosen)} images could be done: {status.reasons[0]}")
        found = (path for path in Path(folder).rglob("*") if path.is_file())
        written = sum(
            path.stat().st_size for path in found
            if not path.relative_to(folder).parts[0].startswith(JOB)
        )  # fmt: skip
    first = marks[1] if len(marks) > 2 else marks[0]
    timed = max(1, len(marks) - (2 if len(marks) > 2 else 1))
    wall, core = (last - begun for last, begun in zip(marks[-1], first, strict=True))
    return Trial(
        total, len(chosen), status.failed, wall / timed, core / timed, written / status.done,
        _memory(), os.cpu_count() or 1,
    )  # fmt: skip


def _spread(entries: Iterable[Entry], count: int) -> tuple[tuple[Entry, ...], int]:
    """So many of the entries, or all if they are fewer, spread evenly, and how many there are."""
    kept: list[Entry] = []
    step, total = 1, 0
    for total, entry in enumerate(entries, 1):
        if (total - 1) % step == 0:
            kept.append(entry)
        if len(kept) > 4 * count:
            kept, step = kept[::2], 2 * step
    count = min(count, len(kept))
    return tuple(kept[place * len(kept) // count] for place in range(count)), total


def _memory() -> int:
    """The most that this process has had resident, in bytes."""
    try:
        import resource
        import sys

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024)
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().peak_wset)
