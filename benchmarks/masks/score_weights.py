"""Fits the weights of the scores of regions, `trace_edges.instances.scores.WEIGHTS`.

    trace-edges detect IMAGES --soft --format npy --out one_step
    python -m benchmarks.masks.score_weights IMAGES PANOPTIC_JSON --edges one_step

Only photographs at odd places are looked at. Two logistic regressions follow each other. The first
gives the order: for the region that fits a thing best its target is how far its IoU lies between
.45 and .95, and 0 for all others, since a hundred regions that all fit the largest thing find but
one. The second gives the scale: of the hundred candidates by that order, whether a mask reaches an
IoU of .5 with any thing. Both together are one linear function of the properties.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.edges import fit, following, read_edges
from benchmarks._shared.reports import guarded
from benchmarks.masks.average_precision import LEVELS
from benchmarks.masks.regions import shared_pixels
from trace_edges.edge_folder import EdgeFolder
from trace_edges.formats.coco_truth import load_json, png_folder, read_panoptic
from trace_edges.instances.candidates import distinct_nodes
from trace_edges.instances.components import Origin, origin_of
from trace_edges.instances.hierarchy import Hierarchy, build_hierarchy
from trace_edges.instances.scores import properties

HALVES = {"odd": slice(0, None, 2), "even": slice(1, None, 2)}  # of photographs by name
MIN_AREA = 1e-4  # of the regions that are fitted to, as a share of the image


def main() -> None:
    """Print the weights."""
    parser = command_line(__doc__)
    parser.add_argument("--also", nargs="+", default=[], metavar="DIR", help="fitted to together")
    options = parser.parse_args()
    trees = []
    for folder in (options.edges, *options.also):
        for photograph in read_photographs(options, folder)[HALVES["odd"]]:
            numbers = [s["id"] for s in photograph.things if not s["iscrowd"]]
            trees.append((photograph.tree, overlaps(photograph.tree, photograph.ids, numbers)))
    print(f"{trees[0][0].origin}: {tuple(round(float(one), 4) for one in weights(trees))}")


@dataclass(frozen=True)
class Truth:
    """One photograph with its things, crowds among them, its edges and the next photograph's."""

    image: Path
    panoptic: Path
    things: Sequence[dict[str, Any]]
    edges: np.ndarray
    others: np.ndarray
    origin: Origin

    @cached_property
    def ids(self) -> np.ndarray:
        return read_panoptic(self.panoptic)

    @property
    def tree(self) -> Hierarchy:
        return build_hierarchy(fit(self.edges, self.ids.shape), origin=self.origin)

    @property
    def control(self) -> Hierarchy:
        return build_hierarchy(fit(self.others, self.ids.shape), origin=self.origin)


def command_line(doc: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("panoptic", type=Path)
    parser.add_argument("--edges", required=True, metavar="DIR", help="folder of smooth edge maps")
    return parser


def read_photographs(options: argparse.Namespace, folder: str | None = None) -> list[Truth]:
    """All photographs by name, those at odd places first, third and so on, with edges of a folder;
    None: that of the options.
    """
    folder = folder or options.edges
    content, drawn = load_json(options.panoptic), png_folder(options.panoptic)
    kinds = {c["id"] for c in content["categories"] if c["isthing"]}
    listed = {Path(one["file_name"]).stem: one for one in content["annotations"]}
    images = {path.stem: path for path in options.images.iterdir()}
    names = sorted(images.keys() & listed.keys())
    (maps,) = read_edges([f"edges={folder}"], names).values()
    others = following(names[::2]) | following(names[1::2])
    origin = origin_of(EdgeFolder(folder).made_with)
    return [
        Truth(
            images[name], drawn / listed[name]["file_name"],
            [s for s in listed[name]["segments_info"] if s["category_id"] in kinds],
            maps[name], maps[others[name]], origin,
        )
        for name in names
    ]  # fmt: skip


def overlaps(tree: Hierarchy, ids: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """(nodes, things) IoU of each node with the things of these ids."""
    shared = shared_pixels(tree, ids, numbers)
    return np.asarray(shared / (tree.areas[:, None] + shared[-1] - shared))


def weights(trees: Sequence[tuple[Hierarchy, np.ndarray]]) -> np.ndarray:
    """A constant, and a number for each property, of trees with the IoUs of their nodes."""
    columns, targets = [], []
    for tree, ious in trees:
        target, best = np.zeros(len(tree.parents)), ious.argmax(axis=0)
        target[best] = np.clip((ious[best, np.arange(len(best))] - 0.45) / 0.5, 0, 1)
        large = tree.areas >= MIN_AREA * tree.labels.size
        columns.append(properties(tree)[large])
        targets.append(target[large])
    order = logistic(np.concatenate(columns), np.concatenate(targets))
    odds, reached = [], []
    for tree, ious in trees:
        ranks = order[0] + properties(tree) @ order[1:]
        kept = distinct_nodes(tree, np.argsort(-ranks[:-1], kind="stable"), 100, 0.75)
        odds.append(ranks[kept])
        reached.append(ious[kept].max(axis=1, initial=0) >= LEVELS[0])
    start, slope = logistic(np.concatenate(odds)[:, None], np.concatenate(reached))
    return np.array([start + slope * order[0], *slope * order[1:]])


def logistic(columns: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """A constant and a weight for each column, by Newton's method; targets lie in [0, 1]."""
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    scaled = np.column_stack([np.ones(len(columns)), (columns - mean) / spread])
    found = np.zeros(scaled.shape[1])
    for _ in range(30):
        estimate = 1 / (1 + np.exp(-scaled @ found))
        slope = scaled.T @ (estimate - targets)
        bend = (scaled * (estimate * (1 - estimate))[:, None]).T @ scaled
        found -= np.linalg.solve(bend, slope)
    weights = found[1:] / spread
    return np.array([found[0] - weights @ mean, *weights])


if __name__ == "__main__":
    guarded(main)
