"""Class-agnostic AP and AR@100 of masks refined by edges: which edges help, and which masks.

    OMP_NUM_THREADS=1 python -m benchmarks.masks.masks IMAGES PANOPTIC_JSON \
        --edges trace=DIR --out OUT

DIR are folders of thin maps that `trace-edges detect` wrote; Canny and Sobel are made. Sources of
masks: MaskCut and ProMerge on self-attention, the regions of TRACE's edges alone, Felzenszwalb's.
Each is refined (BGP, then merging) by no edges, by another photograph's, by the peers', by every
folder's and by the ground truth's boundaries. The density of each pair of source and edges is the
one with the best AP on every other odd photograph; the table is of the even ones, with 95 % of
1,000 paired resamplings of them. Ground truth: the things of the panoptic maps; crowds stay crowds.
Masks are ranked by area. Resumes where it was stopped; writes masks.json and masks.md into --out.
--limit and --densities make it shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from itertools import product
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
from benchmarks.masks.average_precision import LIMIT, Precision, encoded, matched
from benchmarks.masks.mask_sources import SETTINGS, SOURCES, masks_of
from benchmarks.masks.photographs import (
    CUT,
    NOTHING,
    TRUTH,
    Photograph,
    begin,
    command_line,
    edges_at,
    key_of,
    measured,
    thin_levels,
    true_masks,
)
from trace_edges.evaluation import evaluate_masks
from trace_edges.instances import candidates_from_edges, refine_instances
from trace_edges.instances.hierarchy import build_hierarchy
from trace_edges.metrics.panoptic import Panoptic

GRID = (0.0025, 0.005, 0.01, 0.02, 0.04)  # densities: masks want more cutting than true classes do
PROPOSALS = "proposals"  # no source: the 100 best regions of the edges themselves
BLUR = SETTINGS["regions"]["blur"]
Cell = tuple[str, str, float | None]  # source, edges, density


@dataclass(frozen=True)
class Task:
    photograph: Photograph
    cells: Sequence[Cell]
    things: frozenset[int]
    strengths: dict[str, list[float]]
    out: Path


def measure(task: Task) -> dict[str, Any]:
    """The matched masks of every cell of one photograph, made or read."""
    cells = {key_of(cell): cell for cell in task.cells}
    photograph = task.photograph
    truth = photograph.truth()
    true = true_masks(truth, task.things)
    sources = masks_of(photograph, task.out)

    @cache  # every source is cut by them
    def edges_of(method: str, density: float | None) -> np.ndarray:
        return edges_at(photograph, truth, method, density, task.strengths)

    def make(key: str) -> dict[str, Any]:
        source, method, density = cells[key]
        if source == PROPOSALS:
            found = candidates_from_edges(
                build_hierarchy(graded(photograph, truth, method), blur=BLUR)
            )
            rles = encoded(found.masks)
            return matched(rles, found.scores.tolist(), *true) | {"rles": rles}
        masks = sources[source]
        if method != NOTHING and masks.any():
            masks = refine_instances(
                masks, edges_of(method, density), propagation=CUT, split_parts=True
            )
        found = largest(masks)
        rles = encoded(found)
        areas = [float(np.count_nonzero(mask)) for mask in found]
        return matched(rles, areas, *true) | {"rles": rles}

    return remembered(task.out / "measured" / f"{photograph.name}.json", list(cells), make)


def graded(photograph: Photograph, truth: Panoptic, method: str) -> np.ndarray:
    """(h, w) thin lines with the detector's own strengths, in [0, 1]."""
    if method == TRUTH:
        return edges_at(photograph, truth, TRUTH, None, {})
    return thin_levels(photograph, method, truth.ids.shape).astype(np.float32) / 255


def largest(masks: np.ndarray) -> list[np.ndarray]:
    """As many of the largest masks as count, from a stack or from labels."""
    if masks.ndim == 3:
        areas = masks.sum(axis=(1, 2))
        return [masks[k] for k in np.argsort(-areas, kind="stable")[:LIMIT] if areas[k]]
    areas = np.bincount(masks.ravel())
    areas[0] = 0
    masks = np.asfortranarray(masks)  # as the encoder wants them
    return [masks == k for k in np.argsort(-areas, kind="stable")[:LIMIT] if areas[k]]


def choose(cells: Sequence[Cell], odd: Sequence[dict[str, Any]]) -> dict[tuple[str, str], Cell]:
    """For each source and each edges the density with the best AP on the odd photographs."""
    once = np.ones(len(odd), dtype=int)
    chosen = {}
    for cell in cells:
        score = Precision([one[key_of(cell)] for one in odd]).ap(once)
        if cell[:2] not in chosen or score > chosen[cell[:2]][0]:
            chosen[cell[:2]] = (score, cell)
    return {pair: cell for pair, (_, cell) in chosen.items()}


def package_scores(
    photographs: Sequence[Photograph], records: Sequence[dict], cell: Cell, things: frozenset[int]
) -> dict[str, Any]:
    """The same cell by the package's evaluator."""
    images, annotations, found = [], [], []
    for number, (photograph, record) in enumerate(zip(photographs, records, strict=True), 1):
        truth = photograph.truth()
        height, width = truth.ids.shape
        images.append({"id": number, "height": height, "width": width})
        for rle, crowd in zip(*true_masks(truth, things), strict=True):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": 1,
                 "iscrowd": int(crowd), "segmentation": rle}
            )  # fmt: skip
        one = record[key_of(cell)]
        # Records are ranked, and masks are not: the area ranks them again.
        given = one["scores"] if cell[0] == PROPOSALS else [1.0] * len(one["rles"])
        found += [
            {"image_id": number, "category_id": 1, "segmentation": rle, "score": score}
            for rle, score in zip(one["rles"], given, strict=True)
        ]
    listed = {"images": images, "annotations": annotations, "categories": []}
    policy = "given" if cell[0] == PROPOSALS else "area"
    return asdict(evaluate_masks(found, listed, score=policy))


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument(
        "--densities", type=float, nargs="+", default=GRID, help="candidates for each method"
    )
    arguments, data = begin(parser)
    settings = {
        "images": [one.name for one in data.photographs],
        "edges": sorted(arguments.edges),
        "sources": SETTINGS,
        "propagation": asdict(CUT),
        "densities": arguments.densities,
    }
    same_settings(settings, arguments.out)
    things = frozenset(category.id for category in data.categories if category.thing)

    def records(photographs: Sequence[Photograph], cells: Sequence[Cell]) -> list[dict]:
        tasks = [Task(one, cells, things, data.strengths, arguments.out) for one in photographs]
        return measured(measure, tasks, arguments.workers)

    asked = list(product(SOURCES, data.methods, arguments.densities))
    chosen = choose(asked, records(data.to_choose_on, asked))
    cells = [
        *((s, m, None) for s in SOURCES for m in (NOTHING, TRUTH)),
        *chosen.values(),
        *((PROPOSALS, m, None) for m in (*data.methods, TRUTH)),
    ]
    even = records(data.even, cells)
    times = draws(len(even))
    once = np.ones(len(even), dtype=int)
    rows, drawn = [], {}
    for source, method, density in cells:
        cell = (source, method, density)
        counted = Precision([record[key_of(cell)] for record in even])
        scores = package_scores(data.even, even, cell, things)
        if abs(scores["ap"] - counted.ap(once)) > 1e-6:
            raise SystemExit(f"{cell}: AP {counted.ap(once)} here, {scores['ap']} by the package")
        drawn[source, method] = np.array(
            [(counted.ap(t), counted.ar(t), counted.best_iou(t)) for t in times]
        )
        row = {"source": source, "edges": method, "density": density, "best_iou": 0.0}
        rows.append(row | {"best_iou": counted.best_iou(once)} | scores)
    for row in rows:
        of_trace = drawn[row["source"], "trace"]
        difference = of_trace - drawn[row["source"], row["edges"]]
        for place, name in enumerate(("ap", "ar100", "best_iou")):
            row[f"trace_minus_it_{name}"] = interval(difference[:, place])
    order = (NOTHING, *data.methods, TRUTH)
    places = {pair: place for place, pair in enumerate(product([*SOURCES, PROPOSALS], order))}
    rows.sort(key=lambda row: places[row["source"], row["edges"]])
    report = {
        "trace_edges": version("trace-edges"),
        "settings": settings,
        "chosen_on": [one.name for one in data.to_choose_on],
        "reported_on": [one.name for one in data.even],
        "resamples": RESAMPLES,
        "rows": rows,
    }
    write_json(report, arguments.out / "masks.json")
    text = table(rows)
    write_text(text, arguments.out / "masks.md")
    print(text)


def table(rows: Sequence[dict[str, Any]]) -> str:
    header = (
        "masks", "edges", "density", "masks an image", "AP", "AP50", "AR@100", "best IoU",
        "AP: TRACE minus it", "AR@100: TRACE minus it",
    )  # fmt: skip
    lines = []
    for row in rows:
        density = "" if row["density"] is None else f"{100 * row['density']:g} %"
        numbers = [f"{100 * row[name]:.2f}" for name in ("ap", "ap50")]
        numbers += [f"{100 * row[name]:.1f}" for name in ("ar100", "best_iou")]
        apart = [
            "" if row["edges"] == "trace" else percent_interval(row[f"trace_minus_it_{name}"], 2)
            for name in ("ap", "ar100")
        ]
        title = SOURCES.get(row["source"], "the edges' best 100 regions")
        count = f"{row['predictions'] / row['images']:.1f}"
        lines.append((title, row["edges"], density, count, *numbers, *apart))
    return markdown(header, lines)


if __name__ == "__main__":
    guarded(main)
