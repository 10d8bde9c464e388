"""Panoptic quality of true semantic maps that edges split into instances.

    OMP_NUM_THREADS=1 python -m benchmarks.masks.panoptic IMAGES PANOPTIC_JSON \
        --edges trace=DIR --out OUT

The semantic maps are the ground truth's, merged by class, so that only the splitting is measured.
First table: the edges of `masks.py`, each at the density with the best PQ of things on the odd
photographs, beside no edges at all; with 95 % of 1,000 paired resamplings of the even ones. Second
table: the ground truth's boundaries, by BGP, by plain connected components, and with single
parameters of BGP changed. Resumes where it was stopped; writes panoptic.json and panoptic.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.reports import (
    RESAMPLES,
    draws,
    guarded,
    interval,
    markdown,
    percent_interval,
    remembered,
    same_settings,
    write_json,
    write_text,
)
from benchmarks.masks.photographs import (
    CUT,
    DENSITIES,
    NOTHING,
    TRUTH,
    Photograph,
    begin,
    command_line,
    edges_at,
    key_of,
    measured,
)
from benchmarks.masks.splitting import counts_in, predicted, resampled, scores_of, table_of
from trace_edges.instances import Attachment, Propagation
from trace_edges.instances.bgp import flood
from trace_edges.instances.components import components
from trace_edges.metrics.panoptic import (
    Panoptic,
    PanopticCounts,
    SegmentInfo,
    panoptic_counts,
)
from trace_edges.results import Category

BGP, ONE, PARTS, LARGE_PARTS = "BGP", "one instance", "components", "components of 100 px"
# What the docstrings of `Attachment` and `Propagation` quote, by ground-truth edges.
VARIANTS: dict[str, tuple[Propagation, Attachment]] = {
    "BGP without attachment": (CUT, Attachment(size=0)),
    "BGP, size 0.3": (CUT, Attachment(size=0.3)),
    "BGP, size 0.4": (CUT, Attachment(size=0.4)),
    "BGP, distance 1": (CUT, Attachment(distance=1)),
    "BGP, distance 2": (CUT, Attachment(distance=2)),
    "BGP, behind 0.7": (CUT, Attachment(behind=0.7)),
    "BGP, behind 0.9": (CUT, Attachment(behind=0.9)),
}
Cell = tuple[str, str, float | None]  # how, edges, density


@dataclass(frozen=True)
class Task:
    photograph: Photograph
    cells: Sequence[Cell]
    categories: tuple[Category, ...]
    strengths: dict[str, list[float]]
    out: Path


def measure(task: Task) -> dict[str, Any]:
    """Counts of every cell of one photograph, of the classes that occur, made or read."""
    cells = {key_of(cell): cell for cell in task.cells}
    photograph = task.photograph
    truth = photograph.truth()
    classes = np.array([0, *(segment.category for segment in truth.segments)])
    semantic = classes[truth.places]  # 0 is void
    things = {category.id for category in task.categories if category.thing}

    def make(key: str) -> list[list[float]]:
        how, method, density = cells[key]
        edges = edges_at(photograph, truth, method, density, task.strengths)
        if how in (ONE, PARTS, LARGE_PARTS):
            prediction = plain(semantic, edges > 0, things, how)
        else:
            prediction = predicted(semantic, edges, things, *VARIANTS.get(how, (CUT, Attachment())))
        return table_of(panoptic_counts(prediction, truth, task.categories))

    path = task.out / "panoptic" / f"{photograph.name}.json"
    return remembered(path, list(cells), make)


def plain(semantic: np.ndarray, edges: np.ndarray, things: set[int], how: str) -> Panoptic:
    """What needs no propagation: a class is one instance, or as many as it has components.

    Pixels of edges go to the component that reaches them first; a component of less than 100 px is
    none, where that is asked for, and a part of a class without a component is one by itself.
    """
    ids, segments = np.zeros(semantic.shape, dtype=np.int32), []
    for category in np.unique(semantic[semantic > 0]).tolist():
        mask = semantic == category
        labels = mask.astype(np.int32)
        if how != ONE and category in things:
            labels = components(mask & ~edges)
            if how == LARGE_PARTS:
                labels[(np.bincount(labels.ravel()) < 100)[labels]] = 0
            else:
                parts = components(mask)
                has = np.zeros(parts.max() + 1, dtype=bool)
                has[parts[labels > 0]] = True
                labels = np.where(mask & ~has[parts], parts + labels.max(), labels)
            labels = flood(labels.astype(np.int32), edges.astype(np.float32), mask)
        for number in np.unique(labels[labels > 0]).tolist():
            segments.append(SegmentInfo(len(segments) + 1, category))
            ids[labels == number] = len(segments)
    return Panoptic(ids, segments)


def main() -> None:
    arguments, data = begin(command_line(__doc__))
    settings = {
        "images": [one.name for one in data.photographs],
        "edges": sorted(arguments.edges),
        "densities": DENSITIES,
        "propagation": asdict(CUT),
        "attachment": asdict(Attachment()),
    }
    same_settings(settings, arguments.out / "panoptic")

    def records(photographs: Sequence[Photograph], cells: Sequence[Cell]) -> list[dict]:
        tasks = [
            Task(one, cells, data.categories, data.strengths, arguments.out) for one in photographs
        ]
        return measured(measure, tasks, arguments.workers)

    fixed = [(ONE, NOTHING, None), (BGP, NOTHING, None), (BGP, TRUTH, None)]
    by_truth = [(how, TRUTH, None) for how in (PARTS, LARGE_PARTS, *VARIANTS)]
    grid = [(BGP, method, density) for method in data.methods for density in DENSITIES]
    odd = records(data.odd, [*fixed, *by_truth, *grid])
    size = len(data.categories)

    def counted(found: Sequence[dict], cell: Cell) -> list[PanopticCounts]:
        return counts_in([one[key_of(cell)] for one in found], size)

    def half(found: Sequence[dict], cell: Cell) -> dict[str, Any]:
        return scores_of(counted(found, cell), data.categories)

    chosen = [
        max(
            (cell for cell in grid if cell[1] == method),
            key=lambda cell: half(odd, cell)["pq_things"],
        )
        for method in data.methods
    ]
    even = records(data.even, [*fixed, *by_truth, *chosen])
    times = draws(len(even))
    thing = np.array([category.thing for category in data.categories])
    cells = [*fixed[:2], *chosen, fixed[2], *by_truth]
    drawn = {cell: resampled(counted(even, cell), thing, times) for cell in cells}
    of_trace = drawn[next(cell for cell in chosen if cell[1] == "trace")]
    rows = []
    for cell in cells:
        apart = of_trace - drawn[cell]
        row = {"how": cell[0], "edges": cell[1], "density": cell[2]}
        row |= {"odd": half(odd, cell), "even": half(even, cell)}
        for place, name in enumerate(("pq", "pq_things", "pooled")):
            row[f"trace_minus_it_{name}"] = interval(apart[:, place])
        rows.append(row)
    report = {
        "trace_edges": version("trace-edges"),
        "settings": settings,
        "chosen_on": [one.name for one in data.odd],
        "reported_on": [one.name for one in data.even],
        "resamples": RESAMPLES,
        "rows": rows,
    }
    write_json(report, arguments.out / "panoptic.json")
    text = f"{split_table(rows)}\n{truth_table(rows)}"
    write_text(text, arguments.out / "panoptic.md")
    print(text)


def split_table(rows: Sequence[dict[str, Any]]) -> str:
    """Even photographs, by edges."""
    header = (
        "edges", "how", "density", "PQ", "SQ", "RQ", "PQ things", "SQ things", "RQ things",
        "pooled things", "PQ things: TRACE minus it", "pooled: TRACE minus it",
    )  # fmt: skip
    names = ("pq", "sq", "rq", "pq_things", "sq_things", "rq_things", "pooled")
    lines = []
    for row in rows:
        if row["edges"] == TRUTH and row["how"] != BGP:
            continue
        density = "" if row["density"] is None else f"{100 * row['density']:g} %"
        numbers = [f"{100 * row['even'][name]:.1f}" for name in names]
        apart = [
            "" if row["edges"] == "trace" else percent_interval(row[f"trace_minus_it_{name}"], 1)
            for name in ("pq_things", "pooled")
        ]
        lines.append((row["edges"], row["how"], density, *numbers, *apart))
    return markdown(header, lines)


def truth_table(rows: Sequence[dict[str, Any]]) -> str:
    """Pooled PQ of things by the ground truth's boundaries, on both halves."""
    header = ("how", "odd", "even", "PQ things, odd", "PQ things, even", "false", "missed")
    lines = []
    for row in rows:
        if row["edges"] == TRUTH:
            numbers = [
                f"{100 * row[half][name]:.1f}"
                for name in ("pooled", "pq_things")
                for half in ("odd", "even")
            ]
            wrong = [f"{row['odd'][name] + row['even'][name]:.0f}" for name in ("fp", "fn")]
            lines.append((row["how"], *numbers, *wrong))
    return markdown(header, lines)


if __name__ == "__main__":
    guarded(main)
