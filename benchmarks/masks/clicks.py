"""How many clicks pre-labels save against drawing every thing from nothing, by a model of clicks.

    trace-edges detect IMAGES --soft --format npy --out one_step
    python -m benchmarks.masks.clicks IMAGES PANOPTIC_JSON --edges one_step --out clicks.json

The things of the panoptic ground truth, crowds aside, are what a person makes of them; the
clicks are those of `trace-edges evaluate masks --against`. Pre-labels that are wrong are "deleted"
by a click each, or right ones "picked" by a click each, and the others cost nothing; a thing is
drawn from nothing where that needs fewer clicks. "Shuffled"
takes the edges of the next photograph of the same half. Intervals hold 95 % of 1,000 resamplings of
the photographs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.reports import draws, guarded, interval, markdown, percent_interval, publish
from benchmarks.masks.score_weights import HALVES, Truth, command_line, read_photographs
from trace_edges.evaluation.corrections import Corrections, compare
from trace_edges.instances.candidates import candidates_from_edges
from trace_edges.instances.regions import instances_at, usual_strength
from trace_edges.results import InstanceMasks

LIKELY = 0.1  # of the scores of pre-labels that are shown at once


def main() -> None:
    """Compare, print a table, write JSON."""
    parser = command_line(__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    counted: dict[str, list[Corrections]] = {}
    for photograph in read_photographs(options):
        numbers = [s["id"] for s in photograph.things if not s["iscrowd"]]
        masks = [photograph.ids == number for number in numbers]
        true = InstanceMasks(np.array(masks, dtype=bool).reshape(-1, *photograph.ids.shape))
        for row, prelabels, suggestions in _prelabels(photograph):
            found = compare(prelabels, true, suggestions=suggestions)
            counted.setdefault(row, []).append(found)
    record: dict[str, Any] = {"likely": LIKELY, "rows": {}}
    rows = []
    for row, of in counted.items():
        sums = {half: sum(of[part], Corrections()) for half, part in HALVES.items()}
        even = np.array([[one.clicks, one.clicks_from_nothing] for one in of[HALVES["even"]]])
        drawn = draws(len(even)) @ even
        ends = interval(1 - drawn[:, 0] / drawn[:, 1])
        record["rows"][row] = {half: one.record(2.0) for half, one in sums.items()} | {"even": ends}
        names = ("kept", "adjusted", "added", "split", "merged", "deleted")
        counts = [str(getattr(sums["even"], name)) for name in names]
        saved = " / ".join(f"{100 * one.saved:.1f}" for one in sums.values())
        rows.append((row, *counts, str(sums["even"].clicks), saved, percent_interval(ends, 1)))
    header = ("pre-labels", "kept, even", "adjusted", "added", "split", "merged", "deleted",
              "clicks", "saved, odd / even", "interval, even")  # fmt: skip
    publish(record, markdown(header, rows), options.out, None)


def _prelabels(photograph: Truth) -> Iterator[tuple[str, InstanceMasks, bool]]:
    """Name, masks, and whether they are suggestions."""
    tree = photograph.tree
    partition = instances_at(tree, usual_strength("objects", tree.origin))
    candidates = candidates_from_edges(tree)
    likely = f"of a score of at least {LIKELY}"
    yield "nothing", partition[[]], False
    yield "partition, deleted", partition, False
    yield f"partition {likely}, deleted", partition[partition.scores >= LIKELY], False
    yield f"candidates {likely}, deleted", candidates[candidates.scores >= LIKELY], False
    yield "partition, picked", partition, True
    yield "candidates, picked", candidates, True
    yield "candidates, shuffled, picked", candidates_from_edges(photograph.control), True


if __name__ == "__main__":
    guarded(main)
