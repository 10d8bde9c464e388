"""Candidates for things from edges: how many they find, and whether their scores are true.

    trace-edges detect IMAGES --soft --format npy --out one_step
    python -m benchmarks.masks.candidates IMAGES PANOPTIC_JSON --edges one_step --out OUT.json

All things of the panoptic ground truth count as one class: AP and AR over IoU .5 to .95 with up to
100 masks an image, as in COCO's evaluation. "Found" is the share of things that a mask reaches at
IoU .5, and "best IoU" the mean IoU of each thing with its best mask. The weights of the scores were
fitted on the odd photographs (`score_weights`).

"Shuffled" takes the edges of the next photograph of the same half. Two more controls need no edges:
segments of Felzenszwalb at several scales, and boxes of three grids; both have their area as score.
Intervals hold 95 % of 1,000 paired resamplings of the even photographs. The second table says which
share of the masks of a score reaches an IoU of .5 with some thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coder
from skimage.segmentation import felzenszwalb

from benchmarks._shared.reports import draws, guarded, interval, markdown, percent_interval, publish
from benchmarks.masks.average_precision import LEVELS, LIMIT, Precision, encoded, matched
from benchmarks.masks.score_weights import HALVES, Truth, command_line, read_photographs
from trace_edges.images import load_image
from trace_edges.instances.candidates import candidates_from_edges
from trace_edges.instances.regions import instances_at, usual_strength
from trace_edges.instances.scores import WEIGHTS

BEFORE, PARTITION = "partition, by strength", "partition (`--find objects`)"
CANDIDATES = "candidates (`--find candidates`)"
SCALES = (100, 200, 400, 800, 1600)
GRIDS = (2, 4, 6)  # boxes along a side, and as many less one between them
BINS = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1)
SCORES = {"AP": 2, "AR@100": 1, "found": 1, "best IoU": 1}  # digits after the point


def main() -> None:
    """Measure both halves, print two tables, write JSON."""
    parser = command_line(__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    measured: dict[str, list[dict[str, Any]]] = {}
    for photograph in read_photographs(options):
        for row, one in measure(photograph).items():
            measured.setdefault(row, []).append(one)
    record: dict[str, Any] = {"weights": WEIGHTS, "scores": {}, "calibration": {}}
    sets = {r: {h: Precision(of[part]) for h, part in HALVES.items()} for r, of in measured.items()}
    times = draws(len(sets[CANDIDATES]["even"].true))
    resampled = {
        row: np.array([[of["even"].ap(t), of["even"].ar(t)] for t in times])
        for row, of in sets.items()
    }
    rows = []
    for row, of in sets.items():
        both = {half: scores_of(one) for half, one in of.items()}
        apart = (resampled[CANDIDATES] - resampled[row]).T
        gains = {name: interval(values) for name, values in zip(SCORES, apart, strict=False)}
        record["scores"][row] = {**both, "gain of candidates, even": gains}
        cells = [
            " / ".join(f"{100 * of_half[name]:.{digits}f}" for of_half in both.values())
            for name, digits in SCORES.items()
        ]
        count = np.mean([len(one["scores"]) for one in measured[row][HALVES["even"]]])
        told = [percent_interval(ends, SCORES[name]) for name, ends in gains.items()]
        rows.append((row, f"{count:.0f}", *cells, *(told if row != CANDIDATES else ("", ""))))
    header = ("masks", "an image, up to 100", *(f"{name}, odd / even" for name in SCORES),
              "gain of candidates, AP", "AR@100")  # fmt: skip
    shown = {f"{row}, {half}": calibration(measured[row][part])
             for row in (CANDIDATES, PARTITION) for half, part in HALVES.items()}  # fmt: skip
    record["calibration"] = shown
    by_score = [
        (f"{low:g} to {high:g}", *(cells[place] for cells in shown.values()))
        for place, (low, high) in enumerate(pairwise(BINS))
    ]
    tables = markdown(header, rows) + "\n" + markdown(("score", *shown), by_score)
    publish(record, tables, options.out, None)


def measure(photograph: Truth) -> dict[str, dict[str, Any]]:
    """The matched masks of one photograph by where they come from."""
    ids, things, tree = photograph.ids, photograph.things, photograph.tree
    crowd = [bool(s["iscrowd"]) for s in things]
    true = encoded([ids == s["id"] for s in things])
    usual = usual_strength("objects", tree.origin)
    partition = instances_at(tree, usual)
    nodes = np.unique(tree.nodes_at(usual))
    strengths = tree.deaths[nodes[np.argsort(-tree.areas[nodes], kind="stable")]]
    segments = [labels == n for labels in _segments(photograph.image) for n in np.unique(labels)]
    sources = {
        BEFORE: (partition.masks, strengths),
        PARTITION: (partition.masks, partition.scores),
        CANDIDATES: ((found := candidates_from_edges(tree)).masks, found.scores),
        "candidates, shuffled edges": (
            (found := candidates_from_edges(photograph.control)).masks, found.scores
        ),
        "Felzenszwalb, 5 scales": _largest(segments),
        "boxes of 3 grids": _largest(list(_boxes(ids.shape))),
    }  # fmt: skip
    rows = {}
    for row, (masks, scores) in sources.items():
        rles = encoded(masks)
        kept = [one for one, group in zip(true, crowd, strict=True) if not group]
        ious = np.asarray(coder.iou(rles, kept, [0] * len(kept))).reshape(len(rles), len(kept))
        reached = ious.max(axis=1, initial=0) >= LEVELS[0]
        rows[row] = matched(rles, list(map(float, scores)), true, crowd)
        rows[row]["reached"] = list(zip(map(float, scores), reached.tolist(), strict=True))
    return rows


def scores_of(found: Precision) -> dict[str, float]:
    once = np.ones(len(found.true), dtype=int)
    at_half = found.right[0].sum() / found.true.sum()
    values = (found.ap(once), found.ar(once), float(at_half), found.best_iou(once))
    return dict(zip(SCORES, values, strict=True))


def calibration(images: list[dict[str, Any]]) -> list[str]:
    """For each bin of scores, the share of the masks that reach IoU .5, and how many there are."""
    scores, reached = np.array([pair for one in images for pair in one["reached"]]).T
    cells = []
    for low, high in pairwise(BINS):
        within = (scores >= low) & (scores < high)
        share = f"{100 * reached[within].mean():.1f} % of " if within.any() else ""
        cells.append(f"{share}{within.sum()}")
    return cells


def _segments(image: Path) -> Iterator[np.ndarray]:
    pixels = load_image(image)
    for scale in SCALES:
        yield felzenszwalb(pixels, scale=scale, sigma=0.8, min_size=100)


def _boxes(size: tuple[int, ...]) -> Iterator[np.ndarray]:
    for count in GRIDS:
        sides = [length / count for length in size]
        for row in np.arange(0, count - 0.4, 0.5):
            for column in np.arange(0, count - 0.4, 0.5):
                mask = np.zeros(size, dtype=bool)
                top, left = round(row * sides[0]), round(column * sides[1])
                mask[top : top + round(sides[0]), left : left + round(sides[1])] = True
                yield mask


def _largest(masks: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """The largest hundred that have an IoU of at most .75 with a larger one."""
    areas = np.array([np.count_nonzero(mask) for mask in masks])
    order = np.argsort(-areas, kind="stable")
    rles = encoded([masks[k] for k in order])
    kept: list[int] = []
    for place, rle in enumerate(rles):
        if len(kept) == LIMIT:
            break
        near = np.asarray(coder.iou([rle], [rles[k] for k in kept], [0] * len(kept)))
        if not kept or near.max() <= 0.75:
            kept.append(place)
    return [masks[order[k]] for k in kept], areas[order[kept]] / masks[0].size


if __name__ == "__main__":
    guarded(main)
