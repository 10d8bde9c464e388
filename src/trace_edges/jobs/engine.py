"""The one engine for many images: prepared in workers, read in batches, drawn and kept in workers.

Whatever is made of edges is a `Task`; where the edges come from is an `EdgeSource`. `detect`,
`segment`, `refine`, `panoptic` and `annotate` differ in the task, in where the items come from, and
in what keeps the results.
"""

from __future__ import annotations

import errno
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trace_edges.files import FileError
from trace_edges.images import ImageError, image_size, read_image
from trace_edges.jobs import memory
from trace_edges.jobs.entries import Item
from trace_edges.jobs.task import Facts, Fault, Keep, KeepError, Outcome, Subject, Task, TaskError
from trace_edges.jobs.workers import Call, WorkerDied, Workers
from trace_edges.outputs import digest_of
from trace_edges.sources import Drawing, EdgeError, EdgeSource, Preparation, Prepared, Reading, Size

# Batches are cut from so many batches' worth of neighbours, never across: which images share a
# batch is then the same in a run that was killed, and so are the bytes of their results.
STRETCH = 8
_UNNAMED = (errno.ENAMETOOLONG, errno.EILSEQ)  # what stops one image, and no other
_TAKEN = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


@dataclass(frozen=True)
class Prepare:
    """Decodes an item; the failure, where it cannot be. Runs in a worker."""

    preparation: Preparation
    workers: int = 0

    def __call__(self, numbered: tuple[int, Item]) -> Prepared | Outcome:
        item = numbered[1]
        if item.place is None:  # the edges are there, and the image is not asked for
            return Prepared(None, (0, 0), None, item.key)
        try:
            content = item.place.read()
            with memory.alone(*image_size(content), memory.DECODING, self.workers):
                loaded = read_image(content)
            digest = digest_of(content) if isinstance(content, bytes) else ""
            ready = self.preparation(loaded.pixels, item.key)
            return replace(ready, notes=loaded.notes, digest=digest)
        except OSError as error:
            reason = f"{item.name}: cannot be read ({error}); fetch it again"
            return _failed(item, reason, "source")
        except ImageError as error:
            return _failed(item, re.sub("^the image", lambda _: item.name, str(error)))
        except MemoryError:
            return _failed(item, f"{item.name}: is too large for the memory; make it smaller")


@dataclass(frozen=True)
class Finish:
    """Draws what was read of an item, makes the task's result of it and keeps that; runs in a
    worker.
    """

    drawing: Drawing
    task: Task
    keep: Keep
    workers: int = 0

    def __call__(
        self, item: Item, reading: Reading, prepared: Prepared, made_with: Mapping[str, Any],
        begun: float,
    ) -> Outcome:  # fmt: skip
        height, width = shape = prepared.shape or (reading.values.shape[0], reading.values.shape[1])
        try:
            with memory.alone(height, width, memory.DRAWING, self.workers):
                if too_large := memory.refusal(height, width):
                    return _failed(item, f"{item.name}: {too_large}")
                edges, ridges = self.drawing(reading.values, shape)
                result = self.task(Subject(item.key, edges, ridges, reading, prepared.image))
        except TaskError as error:
            return _failed(item, str(error))
        except MemoryError:
            return _failed(item, f"{item.name}: is too large for the memory; make it smaller")
        seconds = round(time.perf_counter() - begun, 3)
        facts = Facts(
            height, width, reading.timestep, reading.emergence, made_with, seconds,
            prepared.notes + result.notes,
        )  # fmt: skip
        try:
            record = self.keep(item, result, facts)
        except KeepError as error:
            return _failed(item, str(error), "dest")
        except FileError as error:
            return _failed(item, str(error))
        except OSError as error:
            if error.errno in _UNNAMED:
                mend = f"its results cannot be named ({error}); rename it"
            elif error.errno in _TAKEN:
                mend = (f"its results have no place ({error}); give the results another folder, or "
                        "move away what is there")  # fmt: skip
            else:
                raise  # it would stop every image
            return _failed(item, f"{item.name}: {mend}")
        digest = f"{prepared.digest} {result.digest}".strip()
        return Outcome(item.key, "done", "", record, item.position, digest=digest)


@dataclass(frozen=True, eq=False)
class Engine:
    """Makes a task's results of items.

    Attributes:
        source, settings: where edges come from, and how images are read.
        task: what is made of them.
        keep: what becomes of a result; gives its record.
        batch_size: images of one size that share a pass.
    """

    source: EdgeSource[Any]
    settings: Any
    task: Task
    keep: Keep
    batch_size: int = 1

    def __call__(self, stretches: Iterable[list[Item]], workers: Workers) -> Iterator[Outcome]:
        """Works through items, stretch by stretch; one Outcome for each that is open, as it is
        finished.

        At most a few images for each worker, and one stretch, are in memory.

        Raises:
            OSError: a result cannot be written.
        """
        ahead = 2 * workers.count
        finishing: deque[tuple[Item, Call[Outcome]]] = deque()
        items = ((number, item) for number, some in enumerate(stretches) for item in some)
        preparation = self.source.preparation(self.settings)
        if self.task.wants_image:  # as it is, not as the model takes it
            preparation = replace(preparation, shrink=False)
        prepare = Prepare(preparation, workers.count)
        finish = Finish(self.source.drawing(self.settings), self.task, self.keep, workers.count)
        failed: list[Outcome] = []

        def readable() -> Iterator[tuple[int, Item, Prepared]]:
            for (number, item), ready in workers.ordered(prepare, items, ahead):
                if isinstance(ready, Prepared):
                    yield number, item, ready
                elif item.open and isinstance(ready, WorkerDied):
                    failed.append(_failed(item, f"{item.name}: {ready}"))
                elif item.open and isinstance(ready, Outcome):
                    failed.append(ready)

        begun = time.perf_counter()
        for batch in batches(readable(), self.batch_size):
            if not any(item.open for item, _ in batch):
                continue
            for (item, ready), reading in zip(batch, self._read(batch), strict=True):
                if item.open and isinstance(reading, str):
                    failed.append(_failed(item, reading))
                elif item.open and isinstance(reading, Reading):
                    made_with = self.source.record(reading, ready)
                    sent = ready if self.task.wants_image else replace(ready, image=None)
                    call = workers.start(finish, item, reading, sent, made_with, begun)
                    finishing.append((item, call))
            yield from _drained(failed)
            yield from _finished(finishing, workers, ahead + self.batch_size)
            begun = time.perf_counter()
        yield from _finished(finishing, workers, 0)
        yield from _drained(failed)

    def alone(self, stretches: Iterable[list[Item]]) -> Iterator[Outcome]:
        """The same with everything done in this process."""
        with Workers(0) as workers:
            yield from self(stretches, workers)

    def _read(self, batch: list[tuple[Item, Prepared]]) -> list[Reading | str]:
        """What is read, or why not; where a batch is too much, its images are read singly."""
        try:
            ready = [one for _, one in batch]
            wanted = self.task.wants_attention
            return list(self.source.read(ready, self.settings, attention=wanted))
        except (ValueError, MemoryError, RuntimeError) as error:
            if not (isinstance(error, ValueError) or memory.is_lack(error)):
                raise
            if len(batch) > 1:
                return [reading for one in batch for reading in self._read([one])]
            ((item, _),) = batch
            reason = str(error) or "is too large for the memory; make it smaller"
            named = reason if isinstance(error, EdgeError) else f"{item.name}: {reason}"
            return [" ".join(named.split())]


def batches(
    images: Iterable[tuple[int, Item, Prepared]], batch_size: int
) -> Iterator[list[tuple[Item, Prepared]]]:
    """Images of one size and one stretch, up to `batch_size` of them."""
    waiting: dict[Size, list[tuple[Item, Prepared]]] = {}
    stretch = 0
    for number, item, ready in images:
        if number != stretch:
            yield from waiting.values()
            waiting, stretch = {}, number
        batch = waiting.setdefault(ready.size, [])
        batch.append((item, ready))
        if len(batch) == batch_size:
            yield waiting.pop(ready.size)
    yield from waiting.values()


def stretches_of(items: list[Item], batch_size: int) -> Iterator[list[Item]]:
    """Items that are all known, in stretches."""
    length = STRETCH * batch_size
    for start in range(0, len(items), length):
        yield items[start : start + length]


def _failed(item: Item, reason: str, fault: Fault = "") -> Outcome:
    line = " ".join(reason.splitlines())
    return Outcome(item.key, "failed", line, position=item.position, fault=fault)


def _finished(
    finishing: deque[tuple[Item, Call[Outcome]]], workers: Workers, left: int
) -> Iterator[Outcome]:
    while finishing and (len(finishing) > left or finishing[0][1].future.done()):
        item, call = finishing.popleft()
        try:
            yield workers.result(call)
        except WorkerDied as error:
            yield _failed(item, f"{item.name}: {error}")


def _drained(outcomes: list[Outcome]) -> Iterator[Outcome]:
    while outcomes:
        yield outcomes.pop(0)
