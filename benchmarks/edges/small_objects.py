"""How small an object may be: recall of the instances of composites against their size.

    python -m recipes.trace_mini composites --out DIR --n 12 --seed 11 --height 512 --width 512 \
        --smallest 0.012 --largest 0.3 --most 40
    trace-edges detect DIR/images --out EDGES
    trace-edges segment DIR/images --edges EDGES --blur 2 --find candidates --out MASKS
    python -m benchmarks.edges.small_objects DIR --edges trace=EDGES \
        --masks trace=MASKS/instances.json --peer canny --out small.json

An instance is found by edges where three quarters of its outline have one within --tolerance px, at
the threshold of ODS; by masks where one of them has an IoU of 0.5 or more with it. "chance" is the
same with the edges of the next scene.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects

from benchmarks._shared.edges import draw_peers, following, read_edges
from benchmarks._shared.reports import guarded, markdown, write_json
from benchmarks.edges.composites import images_of
from trace_edges.evaluation.edges import edge_truth
from trace_edges.evaluation.peers import PEERS
from trace_edges.formats import open_ground_truth, read_coco_masks
from trace_edges.formats.labels import read_labels
from trace_edges.metrics import EdgeProtocol, evaluate_edges
from trace_edges.results import InstanceMasks

# Shares of the image: around 0.01 % and 0.1 % by a factor of two, and what lies between and above.
BOUNDS = (0, 5e-5, 2e-4, 5e-4, 2e-3, 5e-3, 2e-2, 1)
OUTLINE, IOU = 0.75, 0.5


@dataclass(frozen=True)
class Instance:
    scene: str
    mask: np.ndarray  # (h, w)
    outline: np.ndarray  # (n, 2) row, column

    @property
    def share(self) -> float:
        return float(self.mask.mean())


def instances_of(folder: Path, names: Sequence[str]) -> list[Instance]:
    """All that the scenes show."""
    found = []
    for name in names:
        labels = read_labels(folder / "labels" / f"{name}.png")[0].labels
        for number, box in enumerate(find_objects(labels), 1):
            mask = labels == number
            if box is None or not mask.any():
                continue
            inside = np.pad(mask, 1)
            enclosed = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
            found.append(Instance(name, mask, np.argwhere(mask & ~enclosed)))
    return found


def by_edges(
    maps: Mapping[str, np.ndarray], things: Sequence[Instance], cut: float, tolerance: float
) -> np.ndarray:
    """(n,) whether enough of each outline has an edge near."""
    near = {}
    for name, strengths in maps.items():
        edges = strengths >= cut
        near[name] = distance_transform_edt(~edges) <= tolerance if edges.any() else edges
    shares = [near[one.scene][tuple(one.outline.T)].mean() for one in things]
    return np.array(shares) >= OUTLINE


def by_masks(found: Mapping[str, InstanceMasks], things: Sequence[Instance]) -> np.ndarray:
    """(n,) whether a mask is mostly the instance."""
    results = []
    for one in things:
        masks = found[one.scene].masks
        shared = (masks & one.mask).sum(axis=(1, 2))
        union = masks.sum(axis=(1, 2)) + one.mask.sum() - shared
        results.append(bool((shared >= IOU * union).any()))
    return np.array(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of composites, as the recipe writes it")
    parser.add_argument("--edges", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--masks", action="append", default=[], metavar="NAME=JSON")
    parser.add_argument("--peer", action="append", default=[], choices=list(PEERS))
    parser.add_argument("--tolerance", type=float, default=2.0, help="in pixels")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    source = open_ground_truth(options.folder / "panoptic.json")
    names, settings = (
        list(source),
        json.loads((options.folder / "scenes.json").read_text(encoding="utf-8")),
    )
    size = settings["settings"]["height"], settings["settings"]["width"]
    protocol = EdgeProtocol(max_distance=options.tolerance / hypot(*size))
    truth = {name: edge_truth(source[name](), protocol) for name in names}
    things = instances_of(options.folder, names)
    methods = draw_peers(options.peer, images_of(options.folder, names))
    methods |= read_edges(options.edges, names)
    columns: dict[str, np.ndarray] = {}
    for name, maps in methods.items():
        cut = evaluate_edges(maps, truth, protocol=protocol).ods_threshold
        others = {scene: maps[other] for scene, other in following(names).items()}
        columns[f"edges: {name}"] = by_edges(maps, things, cut, options.tolerance)
        columns[f"{name}, chance"] = by_edges(others, things, cut, options.tolerance)
    for name, path in (given.split("=", 1) for given in options.masks):
        columns[f"masks: {name}"] = by_masks(read_coco_masks(path), things)

    shares = np.array([one.share for one in things])
    rows, lines = [], []
    for low, high in itertools.pairwise(BOUNDS):
        here = (shares >= low) & (shares < high)
        if not here.any():
            continue
        recalls = {title: float(found[here].mean()) for title, found in columns.items()}
        rows.append({"from": low, "to": high, "objects": int(here.sum()), "recall": recalls})
        span = f"{100 * low:g} to {100 * high:g} %"
        cells = [f"{100 * value:.0f}" for value in recalls.values()]
        lines.append((span, str(int(here.sum())), *cells))
    print(markdown(("share of the image", "objects", *columns), lines))
    write_json(
        {"scenes": len(names), "size": size, "tolerance": options.tolerance, "rows": rows},
        options.out,
    )


if __name__ == "__main__":
    guarded(main)
