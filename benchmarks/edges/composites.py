"""How well edges find the instances of composites, and the borders between touching twins apart.

    python -m recipes.trace_mini composites --out DIR --n 200 --seed 7
    trace-edges detect DIR/images --out EDGES
    python -m benchmarks.edges.composites DIR --edges trace=EDGES --peer canny --out composites.json

F is that of ODS, with one-to-one matching within --tolerance px. "twins" is the share of the
border pixels between touching instances of one sprite that an edge lies near, at the threshold of
ODS. "shuffled" gives every scene the edges of the next one: what chance finds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from math import hypot
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt

from benchmarks._shared.edges import draw_peers, following, read_edges
from benchmarks._shared.reports import guarded, write_json
from recipes.trace_mini.composites import border_between
from trace_edges.evaluation.edges import edge_truth
from trace_edges.evaluation.peers import PEERS
from trace_edges.formats import open_ground_truth
from trace_edges.formats.labels import read_labels
from trace_edges.metrics import EdgeProtocol, evaluate_edges
from trace_edges.metrics.counts import cldice


def main() -> None:
    """Score every method and its shuffled self; print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of composites, as the recipe writes it")
    parser.add_argument("--edges", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--peer", action="append", default=[], choices=list(PEERS))
    parser.add_argument("--tolerance", type=float, default=3.0, help="in pixels")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    scenes = json.loads((options.folder / "scenes.json").read_text(encoding="utf-8"))
    size = scenes["settings"]["height"], scenes["settings"]["width"]
    protocol = EdgeProtocol(max_distance=options.tolerance / hypot(*size))
    source = open_ground_truth(options.folder / "panoptic.json")
    truth = {name: edge_truth(source[name](), protocol) for name in source}
    twins = {
        name: border_between(
            read_labels(options.folder / "labels" / f"{name}.png")[0].labels,
            scenes["scenes"][name]["touching"],
        )
        for name in source
    }
    methods = draw_peers(options.peer, images_of(options.folder, source))
    methods |= read_edges(options.edges, list(source))
    rows = {}
    for name, drawn in methods.items():
        others = {scene: drawn[other] for scene, other in following(list(drawn)).items()}
        for row, maps in ((name, drawn), (f"{name}, shuffled", others)):
            rows[row] = _score(maps, truth, twins, protocol, options.tolerance)
            print(f"{row:>24} " + " ".join(f"{k} {v:.3f}" for k, v in rows[row].items()))
    record = {"scenes": len(truth), "tolerance": options.tolerance, "rows": rows}
    write_json(record, options.out, indent=1)


def images_of(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The images of the scenes of a folder."""
    return {name: folder / "images" / f"{name}.png" for name in names}


def _score(
    drawn: Mapping[str, np.ndarray],
    truth: Mapping,
    twins: Mapping[str, np.ndarray],
    protocol: EdgeProtocol,
    tolerance: float,
) -> dict[str, float]:
    scores = evaluate_edges(drawn, truth, protocol=protocol)
    cut = scores.ods_threshold
    near = all_ = 0
    for name, border in twins.items():
        edges = drawn[name] >= cut
        close = distance_transform_edt(~edges) <= tolerance if edges.any() else edges
        near, all_ = near + int((close & border).sum()), all_ + int(border.sum())
    lines = [cldice(drawn[name] >= cut, truth[name].annotations[0]) for name in truth]
    return {
        "F": scores.ods, "OIS": scores.ois, "AP": scores.ap,
        "clDice": float(np.mean(lines)), "twins": near / max(1, all_),
    }  # fmt: skip


if __name__ == "__main__":
    guarded(main)
