"""What masks and semantic maps share: images in turn, results counted, a record at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trace_edges.edge_folder import EdgeFolder
from trace_edges.files import write_json
from trace_edges.jobs.engine import Engine, stretches_of
from trace_edges.jobs.entries import Item
from trace_edges.jobs.task import Facts, Outcome, Result, Task

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Collected:
    """Keeps what a task made, and counts.

    Attributes:
        take: takes the result of an image by name; gives how many masks it had and has (of a
            semantic map, classes and segments).
    """

    take: Callable[[str, Result], tuple[int, int]]

    def __call__(self, item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        before, after = self.take(item.key, result)
        notes = {"notes": list(facts.notes)} if facts.notes else {}
        return {"before": before, "after": after} | notes


def refine_images(
    names: Collection[str],
    edges: EdgeFolder,
    task: Task,
    keep: Collected,
    progress: Progress | None,
) -> list[Outcome]:
    """Makes the task's result of every image, with the edges of a folder; one Outcome per image.

    Args:
        progress: called after each image with how many are done, and how many there are.

    Raises:
        OSError: a result cannot be written.
    """
    items = [Item(position, name, None, name) for position, name in enumerate(names)]
    outcomes: list[Outcome] = []
    edges.expect(names)
    engine = Engine(edges, edges.default, task, keep)
    for outcome in engine.alone(stretches_of(items, 1)):
        if outcome.state == "done" and (turned := edges.turned(outcome.key)):
            notes = [*outcome.record.get("notes", ()), turned]
            outcome = replace(outcome, record={**outcome.record, "notes": notes})
        outcomes.append(outcome)
        if progress is not None:
            progress(len(outcomes), len(items))
    return outcomes


def write_settings(
    path: Path,
    files: Mapping[str, Path],
    settings: Mapping[str, Any],
    outcomes: Collection[Outcome],
) -> None:
    """Writes what was refined, how, and which images failed, as one JSON object."""
    record = {
        "files": {role: str(file) for role, file in files.items()},
        "settings": dict(settings),
        "images": len(outcomes),
        "before": sum(outcome.record.get("before", 0) for outcome in outcomes),
        "after": sum(outcome.record.get("after", 0) for outcome in outcomes),
        "failed": {one.key: one.message for one in outcomes if one.message},
        "trace_edges": version("trace-edges"),
    }
    write_json(record, path, indent=1)
