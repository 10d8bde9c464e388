"""Several copies of the model: processes of one machine without a GPU, or a Ray cluster.

A copy takes stretches of items at a time and keeps their results itself. Every result is written
before it is reported, and writing again gives the same bytes; so what a lost process or node had
not reported is simply done again by another.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trace_edges.extras import require
from trace_edges.jobs.engine import Engine
from trace_edges.jobs.entries import Item, pack, unpack
from trace_edges.jobs.job import Job, Work
from trace_edges.jobs.task import Outcome
from trace_edges.jobs.workers import Call, WorkerDied, Workers

IMAGES = 64  # about as many are handed out to a node, and lost with it, at once


@dataclass(frozen=True)
class Processes:
    """Copies in processes of this machine, with one thread each.

    A model of trace-mini's size gains little from a second thread and much from a second copy.

    Attributes:
        actors: copies of the model.
    """

    actors: int

    def __call__(self, job: Job, stretches: Iterator[list[Item]]) -> Iterator[Outcome]:
        """Works through all stretches; outcomes come stretch by stretch, in order.

        Of a stretch that killed its process the items are read singly, so that the one that did it
        is found.
        """
        annotated = _Stretch(job.work)
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
class RayCluster:
    """Copies on the cluster that `RAY_ADDRESS` names, else on one that starts on this machine.

    Sources, destination and semantic maps must lie where every node sees them.

    Attributes:
        actors: copies of the model.
        gpus: of each; a part of one will do.
    """

    actors: int = 1
    gpus: float = 0

    def __call__(self, job: Job, stretches: Iterator[list[Item]]) -> Iterator[Outcome]:
        """Works through all stretches; outcomes come as they are finished, in no order.

        Raises:
            ImportError: Ray is not installed.
        """
        ray = require("ray", "ray")
        data = require("ray.data", "ray")
        rows = [
            {"stretches": json.dumps([[_values(item) for item in one] for one in some])}
            for some in _handed_out(stretches)
        ]
        if not rows:
            return
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        data.DataContext.get_current().enable_progress_bars = False
        outcomes = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(job.work,),
            batch_size=1,
            batch_format="numpy",
            compute=data.ActorPoolStrategy(size=self.actors),
            num_gpus=self.gpus or None,
            max_restarts=-1,
            max_task_retries=-1,
        )
        for row in outcomes.iter_rows():
            position = int(row["position"])
            yield Outcome(row["key"], row["state"], row["message"], position=position)


@dataclass(frozen=True)
class _Stretch:
    """Works through a stretch, in a process of its own. Of the job it has what it takes to do so:
    the list of a million inputs stays at home.
    """

    work: Work

    def __call__(self, items: list[Item]) -> list[Outcome]:
        if not _engines:
            _engines.append(self.work.engine())
        return list(_engines[0].alone([items]))


_engines: list[Engine] = []  # of this process, which serves one job


def _singly(annotated: _Stretch, items: list[Item], workers: Workers) -> Iterator[Outcome]:
    for item in items:
        if not item.open:
            continue
        try:
            yield from workers.result(workers.start(annotated, [item]))
        except WorkerDied as error:
            message = f"{item.name}: {error}"
            yield Outcome(item.key, "failed", message, position=item.position)


class _Actor:
    """One copy of the model."""

    def __init__(self, work: Work) -> None:
        self._engine = work.engine()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        stretches = [
            [_item(values) for values in one]
            for row in batch["stretches"]
            for one in json.loads(str(row))
        ]
        found = list(self._engine.alone(stretches))
        names = ("key", "state", "message", "position")
        return {name: [getattr(one, name) for one in found] for name in names}


def _handed_out(stretches: Iterator[list[Item]]) -> Iterator[list[list[Item]]]:
    some: list[list[Item]] = []
    for stretch in stretches:
        some.append(stretch)
        if sum(map(len, some)) >= IMAGES:
            yield some
            some = []
    if some:
        yield some


def _values(item: Item) -> list[Any]:
    return [item.position, item.key, pack(item.place), item.name, item.number, item.open]


def _item(values: list[Any]) -> Item:
    position, key, place, name, number, is_open = values
    return Item(position, key, unpack(place), name, number, is_open)
