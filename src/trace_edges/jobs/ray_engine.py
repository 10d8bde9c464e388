"""A job on a Ray cluster: Ray Data hands stretches of items to actors, each with its own model.

An actor writes every result before it reports it, and writing again gives the same bytes; so what
a lost worker or node had not reported is simply done again by another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trace_edges.extras import require
from trace_edges.jobs.entries import pack, unpack
from trace_edges.jobs.job import Job
from trace_edges.jobs.look import Finish, Outcome, look_alone
from trace_edges.jobs.manifest import Item

IMAGES = 64  # about as many are handed out, and lost with a worker, at once


@dataclass(frozen=True)
class RayEngine:
    """Runs on the cluster that `RAY_ADDRESS` names, else on one that it starts on this machine.

    Sources, destination and semantic maps must lie where every node sees them.

    Attributes:
        actors: copies of the model.
        gpus: of each; a part of one will do.
    """

    actors: int = 1
    gpus: float = 0

    def __call__(self, job: Job, stretches: Iterator[list[Item]]) -> Iterator[Outcome]:
        """Look at all stretches; outcomes come as they are finished, in no order.

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
            fn_constructor_args=(job,),
            batch_size=1,
            batch_format="numpy",
            compute=data.ActorPoolStrategy(size=self.actors),
            num_gpus=self.gpus or None,
            max_restarts=-1,
            max_task_retries=-1,
        )
        for row in outcomes.iter_rows():
            yield Outcome(int(row["position"]), row["key"], row["reason"])


class _Actor:
    """One copy of the model."""

    def __init__(self, job: Job) -> None:
        self._job, self._model = job, job.loader()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        job, model = self._job, self._model
        finish = Finish(model.drawing, job.task, job.sink)
        stretches = [
            [_item(values) for values in one]
            for row in batch["stretches"]
            for one in json.loads(str(row))
        ]
        found = look_alone(model, finish, stretches, job.batch_size)
        return {name: [getattr(one, name) for one in found] for name in Outcome.__annotations__}


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
