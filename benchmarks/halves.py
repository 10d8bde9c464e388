"""Edges of folders, scored on the odd and the even half of a set: choose on one, report the other.

    python benchmarks/halves.py IMAGES PANOPTIC_JSON --edges NAME=DIR --peer canny --out halves.json

The protocol is that of `trace-edges evaluate edges`; clDice is taken at the half's own threshold of
ODS, without tolerance and with both sides widened by 2 px. "NAME, shuffled" gives every image the
edges of the next one of its half, resized to fit: what chance finds. Intervals are 95 % of 1,000
paired resamplings of the images, for the first method minus each other one, in ODS.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from trace_edges.evaluation.edges import edge_truth
from trace_edges.evaluation.peers import PEERS
from trace_edges.files import find_images, write_atomically
from trace_edges.formats import open_ground_truth
from trace_edges.formats.edge_maps import find_edge_maps, read_edge_map
from trace_edges.images import load_image
from trace_edges.metrics import EdgeProtocol
from trace_edges.metrics.counts import EdgeCounts, EdgeTruth, cldice, edge_counts, unit_strength
from trace_edges.metrics.edges import edge_scores

RESAMPLES = 1000
COLUMNS = ("ODS", "OIS", "AP", "R50", "clDice", "clDice, 2 px")


def main() -> None:
    """Score, print a table for each half, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("truth", type=Path)
    parser.add_argument("--edges", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--peer", action="append", default=[], choices=list(PEERS))
    parser.add_argument("--thresholds", type=int, default=99)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    protocol = EdgeProtocol(thresholds=options.thresholds)
    images = {path.stem: path for path in find_images([options.images]).images}
    source = open_ground_truth(options.truth)
    names = sorted(name for name in images if name in source)
    truth = {name: edge_truth(source[name](), protocol) for name in names}
    methods: dict[str, dict[str, np.ndarray]] = {}
    for given in options.edges:
        method, _, folder = given.partition("=")
        found = find_edge_maps(Path(folder))
        methods[method] = {name: unit_strength(read_edge_map(found[name])) for name in names}
    for peer in options.peer:
        methods[peer] = {name: PEERS[peer](load_image(images[name])) for name in names}
    first = next(iter(methods))
    for half in (names[::2], names[1::2]):
        for name, other in zip(half, [*half[1:], half[0]], strict=True):
            fitted = fit(methods[first][other], methods[first][name].shape)
            methods.setdefault(f"{first}, shuffled", {})[name] = fitted
    counts = {
        method: {name: edge_counts(maps[name], truth[name], protocol) for name in names}
        for method, maps in methods.items()
    }
    record = {}
    for half, chosen in (("odd", names[::2]), ("even", names[1::2]), ("all", names)):
        rows = {method: _row(methods[method], counts[method], truth, protocol, chosen)
                for method in methods}  # fmt: skip
        for method, row in rows.items():
            row["first minus it"] = _difference(counts[first], counts[method], chosen)
        record[half] = rows
        print(f"\n{half}: {len(chosen)} images")
        for method, row in rows.items():
            numbers = " ".join(f"{column} {row[column]:.3f}" for column in COLUMNS)
            gain = "{:+.3f} to {:+.3f}".format(*row["first minus it"])
            print(f"{method:>24} {numbers}   first minus it {gain}")
    with write_atomically(options.out) as temporary:
        temporary.write_text(json.dumps({"protocol": str(protocol), **record}, indent=1) + "\n")


def _row(
    maps: Mapping[str, np.ndarray],
    counts: Mapping[str, EdgeCounts],
    truth: Mapping[str, EdgeTruth],
    protocol: EdgeProtocol,
    names: Sequence[str],
) -> dict[str, Any]:
    scores = edge_scores({name: counts[name] for name in names}, protocol)
    connected = [
        np.mean([
            cldice(maps[n] >= scores.ods_threshold, truth[n].annotations[0], dilation=dilation)
            for n in names
        ])
        for dilation in (0, 2)
    ]  # fmt: skip
    values = (scores.ods, scores.ois, scores.ap, scores.r50, *connected)
    return {column: float(value) for column, value in zip(COLUMNS, values, strict=True)}


def _difference(
    first: Mapping[str, EdgeCounts], other: Mapping[str, EdgeCounts], names: Sequence[str]
) -> list[float]:
    """95 % of the difference in ODS, over resamplings of the images that both share."""
    picks = np.random.default_rng(0).integers(len(names), size=(RESAMPLES, len(names)))
    ods = [
        _best_f(np.stack([astuple(counts[name]) for name in names])[picks].sum(1))
        for counts in (first, other)
    ]
    return [float(value) for value in np.percentile(ods[0] - ods[1], (2.5, 97.5))]


def _best_f(counts: np.ndarray) -> np.ndarray:
    """(R, 4, T): found and all predicted pixels, found and all true ones, to the best F of R."""
    precision = counts[:, 0] / np.maximum(counts[:, 1], 1)
    recall = counts[:, 2] / np.maximum(counts[:, 3], 1)
    return (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max(-1)


def fit(edges: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cut or repeated from the upper left to this shape; lines stay as thin as they are."""
    rows, columns = (np.arange(side) % have for side, have in zip(shape, edges.shape, strict=True))
    return edges[np.ix_(rows, columns)]


if __name__ == "__main__":
    main()
