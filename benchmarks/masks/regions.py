"""At which strengths the regions of edges find objects, and cover the image: `segment`'s defaults.

    trace-edges detect IMAGES --soft --out one_step
    python -m benchmarks.masks.regions IMAGES PANOPTIC_JSON \
        --edges one-step=one_step --out regions.json

Four scores of the regions that are left at a strength. "AR" is the average recall of things: how
many of them a region reaches, at IoU .5 to .95, among the 100 regions with the strongest borders;
"found" is how many of them one reaches at .5. "things" is the mean IoU of each thing with its best
region. "Covering" (Arbelaez et al., PAMI 2011, section 2.3) gives every true segment, things and
stuff, the IoU of the region that overlaps it best, and counts it by its area. Pixels of no segment
do not count.

Two strengths are chosen on the odd photographs, by AR for objects and by covering for areas, and
reported on the even ones. Without edges the image is one region. "Shuffled" takes the edges of the
next photograph of the same half, with strengths of its own. Intervals hold 95 % of 1,000 paired
resamplings of the even photographs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.edges import fit, following, read_edges
from benchmarks._shared.reports import (
    draws,
    guarded,
    interval,
    markdown,
    percent_interval,
    write_json,
)
from benchmarks.masks.average_precision import LEVELS, LIMIT
from trace_edges.formats.coco_truth import load_json, png_folder, read_panoptic
from trace_edges.instances.hierarchy import AREA_POWER, Hierarchy, build_hierarchy

STRENGTHS = np.round(np.concatenate([np.arange(0.01, 0.1, 0.01), np.arange(0.1, 0.51, 0.025)]), 3)
# Sums over the things or pixels of a photograph, whose quotients are the scores of a half.
AR, FOUND, THINGS, OF_THINGS, COVERING, OF_COVERING, REGIONS = range(7)
SCORES = {
    "AR": (AR, OF_THINGS),
    "found": (FOUND, OF_THINGS),
    "things": (THINGS, OF_THINGS),
    "covering": (COVERING, OF_COVERING),
}
NOTHING = "no edges"
AIMS = {"objects": "AR", "areas": "covering"}


def main() -> None:
    """Measure, choose on the odd half, print a table of both, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("panoptic", type=Path)
    parser.add_argument("--edges", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--blur", type=float, default=0.0, help="in pixels; 2 for thin lines")
    parser.add_argument("--area-power", type=float, default=AREA_POWER)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    content, drawn = load_json(options.panoptic), png_folder(options.panoptic)
    things = {c["id"] for c in content["categories"] if c["isthing"]}
    listed = {Path(one["file_name"]).stem: one for one in content["annotations"]}
    names = sorted({path.stem for path in options.images.iterdir()} & listed.keys())
    halves = {"odd": names[::2], "even": names[1::2]}
    others = following(halves["odd"]) | following(halves["even"])
    measured: dict[str, dict[str, np.ndarray]] = {NOTHING: {}}
    for method, maps in read_edges(options.edges, names).items():
        shuffled = f"{method}, shuffled"
        measured |= {method: {}, shuffled: {}}
        for name in names:
            ids = read_panoptic(drawn / listed[name]["file_name"])
            segments = [s for s in listed[name]["segments_info"] if not s["iscrowd"]]
            is_thing = np.array([s["category_id"] in things for s in segments], dtype=bool)
            numbers = [s["id"] for s in segments]
            one_region = build_hierarchy(np.zeros(ids.shape))
            measured[NOTHING][name] = _score(one_region, ids, numbers, is_thing)
            for row, of in ((method, name), (shuffled, others[name])):
                edges = fit(maps[of], ids.shape)
                tree = build_hierarchy(edges, area_power=options.area_power, blur=options.blur)
                measured[row][name] = _score(tree, ids, numbers, is_thing)
    record: dict[str, Any] = {"strengths": STRENGTHS.tolist(), "blur": options.blur}
    record |= {"area_power": options.area_power, "images": halves, "methods": {}}
    rows: list[Sequence[str]] = []
    reported: dict[str, np.ndarray] = {}  # (images, columns) at the strengths that were chosen
    for method, by_name in measured.items():
        odd, even = (np.stack([by_name[name] for name in half]) for half in halves.values())
        chosen = {aim: int(_scores(odd.sum(axis=0))[score].argmax()) for aim, score in AIMS.items()}
        record["methods"][method] = {
            half: {k: v.tolist() for k, v in _scores(of_half.sum(axis=0)).items()}
            | {"regions": of_half[:, :, REGIONS].mean(axis=0).tolist()}
            for half, of_half in (("odd", odd), ("even", even))
        }
        record["methods"][method]["chosen"] = {k: STRENGTHS[p] for k, p in chosen.items()}
        rows += [_row(method, aim, place, odd, even) for aim, place in chosen.items()]
        at = {f"{method}, {aim}": even[:, place] for aim, place in chosen.items()}
        if method == NOTHING:
            rows.pop()  # of whatever strength
            continue
        pairs = [(f"{method}, objects", f"{method}, areas")]
        if method.endswith(", shuffled"):
            pairs = [(f"{method.removesuffix(', shuffled')}, {aim}", f"{method}, {aim}")
                     for aim in AIMS]  # fmt: skip
        reported |= at
        for one, other in pairs:
            apart = _apart(reported[one], reported[other])
            record["methods"][method][f"{one} minus {other}, even"] = apart
            differences = [percent_interval(apart[score], 1) for score in SCORES]
            rows.append((one, f"minus {other}, even", *differences, ""))
    header = ("edges", "strength", "AR, odd / even", "found", "things", "covering", "regions, even")
    print(markdown(header, rows))
    write_json(record, options.out, indent=1)


def _scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    """From (..., columns); each (...)."""
    return {score: sums[..., part] / sums[..., whole] for score, (part, whole) in SCORES.items()}


def _row(method: str, aim: str, place: int, odd: np.ndarray, even: np.ndarray) -> Sequence[str]:
    both = [_scores(half.sum(axis=0)[place]) for half in (odd, even)]
    cells = [" / ".join(f"{100 * half[score]:.1f}" for half in both) for score in SCORES]
    regions = f"{even[:, place, REGIONS].mean():.1f}"
    strength = "" if method == NOTHING else f"{STRENGTHS[place]:g} (best on odd for {aim})"
    return (method, strength, *cells, regions)


def _apart(one: np.ndarray, other: np.ndarray) -> dict[str, list[float]]:
    """How much better the scores of the one are, as intervals; both (images, columns)."""
    first, second = (_scores(draws(len(of)) @ of) for of in (one, other))
    return {score: interval(first[score] - second[score]) for score in SCORES}


def _score(
    tree: Hierarchy, ids: np.ndarray, numbers: list[int], is_thing: np.ndarray
) -> np.ndarray:
    """(strengths, columns) of one photograph."""
    shared = shared_pixels(tree, ids, numbers)
    sizes = shared[-1]  # of the segments: the last node is the whole image
    union = shared.sum(axis=1, keepdims=True) + sizes - shared
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    # A thing is compared with all of a region, as COCO does; void pixels are not left out.
    whole = tree.areas[:, None] + sizes - shared
    of_things = (shared / whole)[:, is_thing]
    rows = []
    for strength in STRENGTHS:
        nodes = np.unique(tree.nodes_at(strength))
        best = overlap[nodes].max(axis=0)
        ranked = nodes[np.argsort(-tree.deaths[nodes], kind="stable")][:LIMIT]
        reached = of_things[ranked].max(axis=0) >= LEVELS[:, None]  # regions are disjoint
        rows.append(
            (
                reached.mean(axis=0).sum(),
                reached[0].sum(),
                best[is_thing].sum(),
                is_thing.sum(),
                (best * sizes).sum(),
                sizes.sum(),
                len(nodes),
            )
        )
    return np.array(rows)


def shared_pixels(tree: Hierarchy, ids: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """(nodes, segments) how many pixels each node shares with the segments of these ids."""
    segments = np.zeros(ids.shape, dtype=np.int64)  # 0: of none
    for place, number in enumerate(numbers, 1):
        segments[ids == number] = place
    kinds = len(numbers) + 1
    codes = tree.labels.ravel() * kinds + segments.ravel()
    shared = np.bincount(codes, minlength=tree.leaves * kinds).reshape(-1, kinds)
    return tree.totals(shared.astype(np.float64))[:, 1:]


if __name__ == "__main__":
    guarded(main)
