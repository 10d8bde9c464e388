"""Several copies of the model: processes of one machine without a GPU, or a Ray cluster.

A copy takes stretches of items at a time and keeps their results itself. Every result is written
before it is reported, and writing again gives the same bytes; so what a lost process or node had
not reported is simply done again by another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from trace_edges.extras import require
from trace_edges.jobs.engine import Engine
from trace_edges.jobs.entries import Item
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

        Raises:
            OSError: a copy of the model cannot be had.
        """
        annotated = _Stretch(job.work)
        begun: deque[tuple[list[Item], Call[list[Outcome]]]] = deque()
        with Workers(self.actors) as workers:

            def first() -> Iterator[Outcome]:
                items, call = begun.popleft()
                try:
                    yield from workers.result(call)
                except WorkerDied:
                    _check_loading(annotated, workers)
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

        What an actor had when it died is given to another, once; then its items singly, so that
        the one that did it is found. An item that kills two actors by itself has failed.

        Raises:
            ImportError: Ray is not installed.
            OSError: a copy of the model cannot be had.
        """
        ray = require("ray", "ray")
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        actor = ray.remote(num_cpus=1, num_gpus=self.gpus or None)(_Actor)
        blocks = map(_Block, _handed_out(stretches))
        again: deque[_Block] = deque()  # before what is new
        idle: list[Any] = []
        begun: dict[Any, tuple[Any, _Block]] = {}

        def next_block() -> _Block | None:
            return again.popleft() if again else next(blocks, None)

        try:
            block = next_block()
            while begun or block is not None:
                while block is not None and len(begun) < self.actors:
                    copy = idle.pop() if idle else actor.remote(job.work)
                    begun[copy.work.remote(block.stretches)] = copy, block
                    block = next_block()
                (finished,), _ = ray.wait(list(begun), num_returns=1)
                copy, had = begun.pop(finished)
                try:
                    found = ray.get(finished)
                    idle.append(copy)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except ray.exceptions.RayActorError as error:
                    idle.append(_loaded(ray, actor.remote(job.work)))
                    found, more = had.after_death(" ".join(str(error).split())[:200])
                    again.extend(more)
                yield from found
                block = block or next_block()
        finally:
            for copy in (*idle, *(copy for copy, _ in begun.values())):
                ray.kill(copy)


@dataclass(frozen=True)
class _Stretch:
    """Works through a stretch, in a process of its own. Of the job it has what it takes to do so:
    the list of a million inputs stays at home.
    """

    work: Work

    def __call__(self, items: list[Item]) -> list[Outcome]:
        """The outcomes; of no items none, which tells whether the model can be loaded."""
        if not _engines:
            _engines.append(self.work.engine())
        return [_light(one) for one in _engines[0].alone([items])]


def _light(outcome: Outcome) -> Outcome:
    """An outcome to be sent home, where its record is not asked for but for the notes."""
    return replace(outcome, record={"notes": outcome.record.get("notes", ())})


_NO_COPY = ("no copy of the model can be loaded ({}): give it more memory, or take fewer "
            "--actors")  # fmt: skip
_engines: list[Engine] = []  # of this process, which serves one job


def _check_loading(annotated: _Stretch, workers: Workers) -> None:
    try:
        workers.result(workers.start(annotated, []))
    except WorkerDied as error:
        raise OSError(_NO_COPY.format(error)) from error


def _singly(annotated: _Stretch, items: list[Item], workers: Workers) -> Iterator[Outcome]:
    for item in items:
        if not item.open:
            continue
        try:
            yield from workers.result(workers.start(annotated, [item]))
        except WorkerDied as error:
            message = f"{item.name}: {error}"
            yield Outcome(item.key, "failed", message, position=item.position)


@dataclass(frozen=True)
class _Block:
    """What an actor takes at a time, and how many actors died over it."""

    stretches: list[list[Item]]
    deaths: int = 0

    def after_death(self, reason: str) -> tuple[list[Outcome], list[_Block]]:
        """What has failed now, and what is to be tried again."""
        items = [item for one in self.stretches for item in one if item.open]
        if self.deaths == 0:
            return [], [replace(self, deaths=1)]
        if len(items) > 1:
            return [], [_Block([[item]]) for item in items]
        message = f"its actor died twice: it needs more memory, or crashes a decoder ({reason})"
        failed = [
            Outcome(one.key, "failed", f"{one.name}: {message}", position=one.position)
            for one in items
        ]
        return failed, []


def _loaded(ray: Any, copy: Any) -> Any:
    """An actor that has its model; an OSError where it does not even live to have it."""
    try:
        ray.get(copy.ready.remote())
    except ray.exceptions.RayActorError as error:
        reason = " ".join(str(error).split())[:200]
        raise OSError(_NO_COPY.format(reason)) from error
    return copy


class _Actor:
    """One copy of the model."""

    def __init__(self, work: Work) -> None:
        self._engine = work.engine()

    def ready(self) -> bool:
        return True

    def work(self, stretches: list[list[Item]]) -> list[Outcome]:
        """The outcomes of stretches."""
        return [_light(one) for one in self._engine.alone(stretches)]


def _handed_out(stretches: Iterator[list[Item]]) -> Iterator[list[list[Item]]]:
    some: list[list[Item]] = []
    for stretch in stretches:
        some.append(stretch)
        if sum(map(len, some)) >= IMAGES:
            yield some
            some = []
    if some:
        yield some
