"""Several copies of the model on one machine without a GPU: a process and a thread for each.

A model of trace-mini's size gains little from a second thread and much from a second copy. Like an
actor of Ray, a process takes a stretch of items at a time and writes their results itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from trace_edges.jobs.job import Job
from trace_edges.jobs.look import Finish, Outcome, look_alone
from trace_edges.jobs.manifest import Item
from trace_edges.jobs.models import Loader, Model
from trace_edges.jobs.sinks import Sink
from trace_edges.jobs.tasks import Task
from trace_edges.jobs.workers import Call, WorkerDied, Workers


@dataclass(frozen=True)
class ProcessEngine:
    """Runs on this machine.

    Attributes:
        actors: copies of the model.
    """

    actors: int

    def __call__(self, job: Job, stretches: Iterator[list[Item]]) -> Iterator[Outcome]:
        """Look at all stretches; outcomes come stretch by stretch, in order.

        Of a stretch that killed its process the items are looked at singly, so that the one that
        did it is found.
        """
        annotated = _Stretch(job.loader, job.task, job.sink, job.batch_size)
        begun: deque[tuple[list[Item], Call[list[Outcome]]]] = deque()
        with Workers(self.actors) as workers:

            def first() -> Iterator[Outcome]:
                items, call = begun.popleft()
                try:
                    yield from workers.result(call)
                except WorkerDied:
                    yield from _singly(annotated, items, workers)

            for items in stretches:
                begun.append((items, workers.start(annotated, items)))
                if len(begun) > self.actors:  # one waits for each that is under way
                    yield from first()
            while begun:
                yield from first()


@dataclass(frozen=True)
class _Stretch:
    """Annotates a stretch, in a process of the engine. Of the job it has what it takes to do so:
    the list of a million inputs stays at home.
    """

    loader: Loader
    task: Task
    sink: Sink
    batch_size: int

    def __call__(self, items: list[Item]) -> list[Outcome]:
        if not _models:
            _models.append(self.loader())
        (model,) = _models
        finish = Finish(model.drawing, self.task, self.sink)
        return look_alone(model, finish, [items], self.batch_size)


_models: list[Model] = []  # of this process, which serves one job


def _singly(annotated: _Stretch, items: list[Item], workers: Workers) -> Iterator[Outcome]:
    for item in items:
        if not item.open:
            continue
        try:
            yield from workers.result(workers.start(annotated, [item]))
        except WorkerDied as error:
            yield Outcome(item.position, item.key, f"{item.name}: {error}")
