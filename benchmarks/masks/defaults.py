"""What the defaults of `panoptic` and `refine` make of edges from bad to perfect, beside no edges.

    trace-edges detect IMAGES --out detector
    OMP_NUM_THREADS=1 python -m benchmarks.masks.defaults IMAGES PANOPTIC_JSON \
        --edges trace=detector --out OUT

Edges are cut at their strength, as the commands cut them: from the usual threshold of what drew
them. Panoptic maps are made of the ground truth's semantic maps, so that only the splitting is
measured. Masks to refine are the connected parts of these classes, which hold several things, and
the true masks themselves, which nothing can better. "Shuffled" takes the edges of the next
photograph of the same half. "Half true" are the true boundaries of every other segment, and "with
trace" means that the detector's edges are drawn too, a little weaker: a detector that misses half
of the boundaries, or none. Each kind of edges is compared with no edges by 95 % of 1,000 paired
resamplings of the photographs. Writes defaults.json and defaults.md.

With --scan T ..., instead, the detector's edges at these thresholds, alone and with the true ones,
to choose one on the odd half; it needs an --out of its own. Further sources are --edges NAME=DIR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.reports import (
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
from benchmarks.masks.average_precision import Precision, encoded, matched
from benchmarks.masks.photographs import (
    NOTHING,
    SHUFFLED,
    TRUTH,
    Photograph,
    begin,
    command_line,
    measured,
    thin_levels,
    true_masks,
)
from benchmarks.masks.splitting import counts_in, predicted, resampled, scores_of, table_of
from trace_edges.edge_folder import EdgeFolder
from trace_edges.instances import Propagation, refine_instances
from trace_edges.instances.components import Origin, components, origin_of
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.panoptic import Panoptic, panoptic_counts
from trace_edges.results import Category

HALF, BOTH = "half true, with trace", "true, with trace"
DEFAULTS = {"the defaults": Propagation()}
MASKS = ("parts", "true masks")


@dataclass(frozen=True)
class Task:
    photograph: Photograph
    categories: tuple[Category, ...]
    out: Path
    kinds: tuple[str, ...]
    settings: Mapping[str, Propagation]
    drawn_by: Mapping[str, Origin]


def scanned(thresholds: Sequence[float]) -> dict[str, Propagation]:
    """Settings with these thresholds, without hysteresis and with some."""
    return {
        f"`threshold` {threshold}, `hysteresis` {hysteresis}": Propagation(
            threshold=threshold, hysteresis=hysteresis
        )
        for threshold in thresholds
        for hysteresis in (0.8, 1.0)
    }


def edges_of(kind: str, photograph: Photograph, truth: Panoptic) -> np.ndarray:
    """(h, w) strengths in [0, 1]."""
    if kind == NOTHING:
        return np.zeros(truth.ids.shape, dtype=np.float32)
    if kind in (HALF, BOTH, TRUTH):
        drawn = np.where(truth.places % 2, truth.places, 0) if kind == HALF else truth.places
        true = boundaries_from_labels(drawn).astype(np.float32)
        own = 0 if kind == TRUTH else 0.9 * edges_of("trace", photograph, truth)
        return np.maximum(true, own)
    return thin_levels(photograph, kind, truth.ids.shape).astype(np.float32) / 255


def measure(task: Task) -> dict[str, Any]:
    """Of one photograph: panoptic counts, and matched masks, of every kind of edges and setting."""
    photograph, truth = task.photograph, task.photograph.truth()
    semantic = np.array([0, *(segment.category for segment in truth.segments)])[truth.places]
    things = frozenset(category.id for category in task.categories if category.thing)
    true = true_masks(truth, things)
    listed = [s.id for s in truth.segments if s.category in things and not s.crowd]
    masks = {"true masks": np.where(np.isin(truth.ids, listed), truth.places, 0)}
    masks["parts"], count = np.zeros(semantic.shape, dtype=np.int32), 0
    for category in np.unique(semantic):
        if category in things:
            parts = components(semantic == category)
            masks["parts"] += np.where(parts > 0, parts + count, 0)
            count += parts.max()

    def make(key: str) -> dict[str, Any]:
        kind, _, setting = key.partition("/")
        edges = edges_of(kind, photograph, truth)
        how = task.settings[setting].usual_for(task.drawn_by.get(kind, "image-alone"))
        found = predicted(semantic, edges, things, how)
        made: dict[str, Any] = {
            "panoptic": table_of(panoptic_counts(found, truth, task.categories))
        }
        for name, labels in masks.items():
            refined = refine_instances(labels, edges, propagation=how)
            stack = [refined == number for number in range(1, refined.max() + 1)]
            areas = [float(np.count_nonzero(mask)) for mask in stack]
            made[name] = matched(encoded(stack), areas, *true)
        return made

    keys = [f"{kind}/{setting}" for kind in task.kinds for setting in task.settings]
    return remembered(task.out / "defaults" / f"{photograph.name}.json", keys, make)


def summary(
    records: Sequence[dict[str, Any]], key: str, categories: Sequence[Category]
) -> dict[str, Any]:
    """Scores, and the same of every resampling, on one half."""
    thing = np.array([category.thing for category in categories])
    counts = counts_in([record[key]["panoptic"] for record in records], len(categories))
    times, once = draws(len(records)), np.ones(len(records), dtype=int)
    found = scores_of(counts, categories)
    drawn = {"pooled": resampled(counts, thing, times)[:, 2]}
    for name in MASKS:
        counted = Precision([record[key][name] for record in records])
        found[name] = counted.ap(once)
        drawn[name] = np.array([counted.ap(one) for one in times])
    return {"scores": found, "drawn": drawn}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--scan", type=float, nargs="+", default=[], metavar="T")
    arguments, data = begin(parser)
    kinds: tuple[str, ...] = (NOTHING, *data.methods, HALF, BOTH, TRUTH)
    hows = DEFAULTS
    if arguments.scan:
        kinds, hows = (NOTHING, "trace", BOTH), scanned(arguments.scan)
    folders = dict(one.split("=") for one in arguments.edges)
    drawn_by = {name: origin_of(EdgeFolder(path).made_with) for name, path in folders.items()}
    drawn_by |= dict.fromkeys((SHUFFLED, HALF, BOTH), drawn_by["trace"])
    settings = {name: asdict(how) for name, how in hows.items()}
    inputs = {"images": [one.name for one in data.photographs], "edges": sorted(arguments.edges)}
    same_settings({**inputs, "settings": settings}, arguments.out / "defaults")
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for half, photographs in (("odd", data.odd), ("even", data.even)):
        tasks = [
            Task(one, data.categories, arguments.out, kinds, hows, drawn_by) for one in photographs
        ]
        records = measured(measure, tasks, arguments.workers)
        for setting in hows:
            nothing = summary(records, f"{NOTHING}/{setting}", data.categories)["drawn"]
            for kind in kinds:
                found = summary(records, f"{kind}/{setting}", data.categories)
                apart = {
                    name: interval(drawn - nothing[name]) for name, drawn in found["drawn"].items()
                }
                row = rows.setdefault((kind, setting), {"edges": kind, "settings": setting})
                row[half] = {**found["scores"], "minus_no_edges": apart}
    write_json({**inputs, "settings": settings, "rows": list(rows.values())},
               arguments.out / "defaults.json")  # fmt: skip
    text = table(list(rows.values()))
    write_text(text, arguments.out / "defaults.md")
    print(text)


def table(rows: Sequence[dict[str, Any]]) -> str:
    header = (
        "edges", "odd: PQ of things, pooled", "false",
        "even: PQ", "false", "minus no edges",
        "parts, even: AP", "minus no edges", "true masks, even: AP", "minus no edges",
    )  # fmt: skip
    lines, several = [], len({row["settings"] for row in rows}) > 1
    for row in rows:
        if row["edges"] == NOTHING and row["settings"] != rows[0]["settings"]:
            continue
        told = f", {row['settings']}" if several and row["edges"] != NOTHING else ""
        cells = [row["edges"] + told]
        for half in ("odd", "even"):
            cells += [f"{100 * row[half]['pooled']:.1f}", f"{row[half]['fp']:.0f}"]
        even = row["even"]
        for name in ("pooled", *MASKS):
            cells += [f"{100 * even[name]:.1f}"] if name in MASKS else []
            apart = percent_interval(even["minus_no_edges"][name], 1)
            cells.append("" if row["edges"] == NOTHING else apart)
        lines.append(cells)
    return markdown(header, lines)


if __name__ == "__main__":
    guarded(main)
