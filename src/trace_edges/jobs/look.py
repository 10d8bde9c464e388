"""From items to results: decoded in workers, looked at in batches, drawn and written in workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from trace_edges.images import ImageError, load_image
from trace_edges.jobs.manifest import Item
from trace_edges.jobs.models import Drawing, Model, Preparation, Prepared, Seen, Size
from trace_edges.jobs.sinks import RECORD, Sink
from trace_edges.jobs.tasks import Edges, Task, TaskError, record_bytes
from trace_edges.jobs.workers import Call, WorkerDied, Workers

# Batches are cut from so many batches' worth of neighbours, never across: which pictures share a
# batch is then the same in a run that was killed, and so are the bytes of their results.
STRETCH = 8


@dataclass(frozen=True)
class Outcome:
    """What became of an item: done, or failed for a reason."""

    position: int
    key: str
    reason: str = ""


@dataclass(frozen=True)
class Prepare:
    """Decode an item; the reason why not, where it cannot be. Runs in a worker."""

    preparation: Preparation

    def __call__(self, item: Item) -> Prepared | str:
        try:
            content = item.place.read()
        except ImageError as error:
            return str(error)
        except OSError as error:
            return " ".join(f"{item.name}: cannot be read ({error}); fetch it again".split())
        try:
            return self.preparation(load_image(content))
        except ImageError as error:
            return str(error).replace("the image", item.name, 1)
        except MemoryError:
            return f"{item.name}: is too large for the memory; make it smaller"


@dataclass(frozen=True)
class Finish:
    """Draw what was seen of an item and keep the result; the reason why not, or nothing. Runs in a
    worker.
    """

    drawing: Drawing
    task: Task
    sink: Sink

    def __call__(self, item: Item, seen: Seen, shape: Size) -> str:
        try:
            files, more = self.task(item.key, Edges(*self.drawing(seen, shape)))
        except TaskError as error:
            return str(error)
        except MemoryError:
            return f"{item.name}: is too large for the memory; make it smaller"
        height, width = shape
        record = {"key": item.key, "file": item.name, "height": height, "width": width}
        record |= {"timestep": seen.timestep, **more}
        self.sink.keep(item.key, {**files, RECORD: record_bytes(record)})
        return ""


def look(
    model: Model,
    finish: Finish,
    stretches: Iterable[list[Item]],
    workers: Workers,
    batch_size: int,
) -> Iterator[Outcome]:
    """Annotate items, stretch by stretch; one Outcome for each that is open, as it is finished.

    At most a few pictures for each worker, and one stretch, are in memory.

    Raises:
        OSError: a result cannot be written.
    """
    ahead = 2 * workers.count
    finishing: deque[tuple[Item, Call[str]]] = deque()
    items = ((number, item) for number, some in enumerate(stretches) for item in some)
    prepare = _Numbered(Prepare(model.preparation))
    failed: list[Outcome] = []

    def readable() -> Iterator[tuple[int, Item, Prepared]]:
        for (number, item), ready in workers.ordered(prepare, items, ahead):
            if isinstance(ready, Prepared):
                yield number, item, ready
            elif item.open:
                failed.append(Outcome(item.position, item.key, str(ready)))

    for batch in batches(readable(), batch_size):
        if not any(item.open for item, _ in batch):
            continue
        for (item, ready), seen in zip(batch, _read(model, batch), strict=True):
            if item.open and isinstance(seen, str):
                failed.append(Outcome(item.position, item.key, seen))
            elif item.open and isinstance(seen, Seen):
                finishing.append((item, workers.start(finish, item, seen, ready.shape)))
        yield from _finished(finishing, workers, ahead + batch_size)
        yield from _drained(failed)
    yield from _finished(finishing, workers, 0)
    yield from _drained(failed)


def look_alone(
    model: Model, finish: Finish, stretches: Iterable[list[Item]], batch_size: int
) -> list[Outcome]:
    """`look` with everything done in this process, as the copies of a model do it."""
    with Workers(0) as workers:
        return list(look(model, finish, stretches, workers, batch_size))


def batches(
    pictures: Iterable[tuple[int, Item, Prepared]], batch_size: int
) -> Iterator[list[tuple[Item, Prepared]]]:
    """Pictures of one size and one stretch, up to `batch_size` of them."""
    waiting: dict[Size, list[tuple[Item, Prepared]]] = {}
    stretch = 0
    for number, item, ready in pictures:
        if number != stretch:
            yield from waiting.values()
            waiting, stretch = {}, number
        batch = waiting.setdefault(ready.size, [])
        batch.append((item, ready))
        if len(batch) == batch_size:
            yield waiting.pop(ready.size)
    yield from waiting.values()


@dataclass(frozen=True)
class _Numbered:
    """Takes the number of the stretch along."""

    prepare: Prepare

    def __call__(self, numbered: tuple[int, Item]) -> Prepared | str:
        return self.prepare(numbered[1])


def _read(model: Model, batch: list[tuple[Item, Prepared]]) -> list[Seen | str]:
    """What is seen, or why not; where a batch is too much, its pictures are looked at singly."""
    try:
        return list(model.read([ready for _, ready in batch]))
    except (ValueError, torch.OutOfMemoryError) as error:
        if len(batch) > 1:
            return [seen for one in batch for seen in _read(model, [one])]
        ((item, _),) = batch
        return [" ".join(f"{item.name}: {error}".split())]


def _finished(
    finishing: deque[tuple[Item, Call[str]]], workers: Workers, left: int
) -> Iterator[Outcome]:
    while finishing and (len(finishing) > left or finishing[0][1].future.done()):
        item, call = finishing.popleft()
        try:
            reason = workers.result(call)
        except WorkerDied as error:
            reason = f"{item.name}: {error}"
        yield Outcome(item.position, item.key, reason)


def _drained(outcomes: list[Outcome]) -> Iterator[Outcome]:
    while outcomes:
        yield outcomes.pop(0)
