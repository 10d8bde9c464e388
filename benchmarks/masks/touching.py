"""Where edges lie: on borders between touching instances of one class, or inside of things.

    OMP_NUM_THREADS=1 python -m benchmarks.masks.touching IMAGES PANOPTIC_JSON \
        --edges trace=DIR --out OUT

Refinement by edges can only be as good as two numbers: how much of the borders between touching
instances of one class is cut, and how much is cut inside of an instance, where nothing should be.
At each density (thresholds from the odd photographs), on the even ones, within 0.0075 of the
diagonal: the share of those borders, and of all other borders of things, that an edge is near; the
share of things' inside, further than that from any border, that is on an edge; and the share of
edges near any border. Writes touching.json and touching.md into --out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
from scipy.ndimage import distance_transform_edt

from benchmarks._shared.reports import draws, guarded, interval, markdown, write_json, write_text
from benchmarks.masks.photographs import CUT, DENSITIES, Photograph, begin, command_line, edges_at
from trace_edges.instances.components import cut_pixels
from trace_edges.metrics.edges import spread

TOLERANCE = 0.0075
NAMES = ("same class", "other borders", "inside", "precision")


@dataclass(frozen=True)
class Task:
    photograph: Photograph
    methods: tuple[str, ...]
    things: frozenset[int]
    strengths: dict[str, list[float]]


def measure(task: Task) -> np.ndarray:
    """(methods, densities, 4, 2) pixels that an edge is near or on, and all of them."""
    truth = task.photograph.truth()
    radius = TOLERANCE * hypot(*truth.ids.shape)
    countable = [s.category in task.things and not s.crowd for s in truth.segments]
    classes = np.array([0, *(s.category for s in truth.segments)])[truth.places]
    thing = np.array([False, *countable])[truth.places]
    same, other, any_ = (np.zeros(thing.shape, dtype=bool) for _ in range(3))
    for one, two in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        apart = truth.places[one] != truth.places[two]
        of_things = apart & (thing[one] | thing[two])
        twins = apart & thing[one] & thing[two] & (classes[one] == classes[two])
        any_[two] |= apart
        same[two] |= twins
        other[two] |= of_things & ~twins
    beside = distance_transform_edt(~any_) <= radius if any_.any() else any_
    inside = thing & ~beside
    counts = np.zeros((len(task.methods), len(DENSITIES), len(NAMES), 2))
    for m, method in enumerate(task.methods):
        for d, density in enumerate(DENSITIES):
            edges = edges_at(task.photograph, truth, method, density, task.strengths)
            cut = cut_pixels(edges, CUT.threshold, CUT.hysteresis)
            near = distance_transform_edt(~cut) <= radius if cut.any() else cut
            pairs = ((near, same), (near, other), (cut, inside), (beside, cut))
            counts[m, d] = [((a & b).sum(), b.sum()) for a, b in pairs]
    return counts


def shares(counts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Of summed pixels, the k-th image counted `times[k]` times; (..., methods, densities, 4)."""
    total = np.tensordot(times, counts, axes=1)
    return total[..., 0] / np.maximum(1, total[..., 1])


def main() -> None:
    arguments, data = begin(command_line(__doc__))
    things = frozenset(category.id for category in data.categories if category.thing)
    tasks = [Task(one, data.methods, things, data.strengths) for one in data.even]
    counts = np.stack(list(spread(measure, tasks, arguments.workers)))
    values = shares(counts, np.ones(len(counts)))
    drawn = shares(counts, draws(len(counts)))
    rows = []
    for m, method in enumerate(data.methods):
        for d, density in enumerate(DENSITIES):
            apart = drawn[:, -1, d] - drawn[:, m, d]  # trace is the last
            row = {"edges": method, "density": density}
            row |= dict(zip(NAMES, values[m, d].tolist(), strict=True))
            row["trace_minus_it"] = {n: interval(apart[:, k]) for k, n in enumerate(NAMES)}
            rows.append(row)
    report = {
        "edges": arguments.edges,
        "thresholds_of": [one.name for one in data.odd],
        "reported_on": [one.name for one in data.even],
        "tolerance": TOLERANCE,
        "rows": rows,
    }
    write_json(report, arguments.out / "touching.json")
    text = table(rows)
    write_text(text, arguments.out / "touching.md")
    print(text)


def table(rows: Sequence[dict]) -> str:
    header = (
        "density", "edges", "borders within a class cut", "other borders of things cut",
        "inside of things on an edge", "edges near a border", "within a class: TRACE minus it",
    )  # fmt: skip
    lines = []
    for row in sorted(rows, key=lambda row: row["density"]):
        low, high = (100 * end for end in row["trace_minus_it"]["same class"])
        apart = "" if row["edges"] == "trace" else f"{low:+.1f} to {high:+.1f}"
        numbers = [f"{100 * row[name]:.1f}" for name in NAMES]
        lines.append((f"{100 * row['density']:g} %", row["edges"], *numbers, apart))
    return markdown(header, lines)


if __name__ == "__main__":
    guarded(main)
