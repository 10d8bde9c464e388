"""Run a plan: every photograph in every row, scored against the ground truth.

Trajectories and counts are kept in `out/walks` and `out/counts`, under digests of all that they
depend on: a stopped run goes on where it was, and a plan with new rows makes only what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from benchmarks.ablation.measure import Half, Photograph, Reading, Task, measure, pipeline
from benchmarks.ablation.plan import Plan, Row
from trace_edges.files import find_images
from trace_edges.formats.ground_truth import open_ground_truth
from trace_edges.metrics.edges import EdgeScores, edge_scores, spread
from trace_edges.training_free.pipeline import TraceEdgePipeline


@dataclass(frozen=True)
class RowResult:
    """One row of the table, or a peer.

    Attributes:
        name: the row's or the peer's.
        kind: "row", "control" or "peer".
        readings: by photograph.
        settings: what the pipeline records of itself; of a peer, nothing.
    """

    name: str
    kind: Literal["row", "control", "peer"]
    readings: Mapping[str, Reading]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ablation:
    """A plan that was run.

    Attributes:
        plan: what was asked for.
        halves: photograph -> "odd" (to choose settings on) or "even" (to report them on).
        rows: peers first, then the rows in the plan's order.
    """

    plan: Plan
    halves: Mapping[str, Half]
    rows: tuple[RowResult, ...]

    def scores(self, row: RowResult, half: Half | None = None) -> EdgeScores | None:
        """Of a row on one half of the photographs, or on all; None where the half is empty."""
        counts = {
            name: reading.counts
            for name, reading in row.readings.items()
            if half in (None, self.halves[name])
        }
        return edge_scores(counts, self.plan.protocol) if counts else None


def run_plan(
    plan: Plan, out: Path, workers: int = 1, progress: Callable[[], object] | None = None
) -> Ablation:
    """Run a plan.

    Args:
        plan: see `read_plan`.
        out: a folder for what a later run can use.
        workers: processes; two or more are spawned with one thread each, so that a script needs its
            `if __name__ == "__main__":`.
        progress: called `plan_length` times: after each photograph, and once more for each if there
            are controls.

    Raises:
        ValueError: there are no photographs or too few for a control, a setting does not fit the
            model, or a photograph has no ground truth or one of another size.
        ImportError: numba is not installed.
    """
    tasks = _tasks(plan, find_photographs(plan), pipeline(plan, out))
    readings: dict[str, dict[str, Reading]] = {}
    measured = spread(partial(measure, plan, out), tasks, workers)
    for task, found in zip(tasks, measured, strict=True):
        for name, reading in found.items():
            readings.setdefault(name, {})[task.photograph.name] = reading
        if progress is not None:
            progress()
    results = [RowResult(peer, "peer", readings[peer]) for peer in plan.peers]
    for row in plan.rows:
        described = pipeline(plan, out).describe(row.settings)
        kind: Literal["row", "control"] = "control" if row.control else "row"
        results.append(RowResult(row.name, kind, readings[row.name], described))
    halves = {task.photograph.name: task.photograph.half for task in tasks}
    return Ablation(plan, halves, tuple(results))


def plan_length(plan: Plan) -> int:
    """How often `run_plan` reports progress."""
    rounds = 2 if any(row.control for row in plan.rows) else 1
    return rounds * len(find_photographs(plan))


def find_photographs(plan: Plan) -> list[Photograph]:
    """The photographs of a plan with their ground truth.

    Raises:
        ValueError: there are none, or one has no ground truth.
    """
    names = find_images([plan.images]).names
    images = list(names)
    chosen = list(enumerate(images))[plan.start :: plan.every]
    if not chosen:
        raise ValueError(f"{plan.images} has {len(images)} photographs; start {plan.start} is past "
                         "the last")  # fmt: skip
    truth = open_ground_truth(plan.ground_truth, plan.ground_truth_kind)
    for _, path in chosen:
        if names[path] not in truth:
            raise ValueError(f"{path} has no ground truth in {plan.ground_truth}: add it, or move "
                             "the photograph away")  # fmt: skip
    return [
        Photograph(names[path], path, "even" if place % 2 else "odd", truth[names[path]])
        for place, path in chosen
    ]


def _tasks(plan: Plan, photographs: list[Photograph], pipe: TraceEdgePipeline) -> list[Task]:
    """Every photograph in every row; then, when all trajectories are made, in every control."""
    # Rows that go furthest come first: the others find their steps on disk.
    rows = [row for row in plan.rows if row.control is None]
    rows.sort(key=partial(_reach, pipe), reverse=True)
    tasks = [Task(one, one.path, tuple(rows), plan.peers) for one in photographs]
    controls = tuple(row for row in plan.rows if row.control)
    if not controls:
        return tasks
    if len(photographs) < 2:
        raise ValueError("the control shuffled needs two photographs or more; there is one")
    # Photographs far apart in the folder: neighbours may be of one scene.
    half = len(photographs) // 2
    donors = [*photographs[half:], *photographs[:half]]
    pairs = zip(photographs, donors, strict=True)
    return tasks + [Task(one, donor.path, controls) for one, donor in pairs]


def _reach(pipe: TraceEdgePipeline, row: Row) -> float:
    """Timestep that a row is sure to reach at the resolution of its edges."""
    if row.settings.timestep is not None:
        return row.settings.timestep
    described = pipe.describe(row.settings)
    one_grid = described["emergence_resolution"] == described["resolution"]
    return float("inf") if one_grid else 0
