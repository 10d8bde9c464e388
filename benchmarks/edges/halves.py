"""Edges of folders, scored on the odd and the even half of a set: choose on one, report the other.

    python -m benchmarks.edges.halves IMAGES PANOPTIC_JSON \
        --edges NAME=DIR --peer canny --out halves.json

The protocol is that of `trace-edges evaluate edges`; clDice is taken at the half's own threshold of
ODS, without tolerance and with both sides widened by 2 px. "NAME, shuffled" gives every image the
edges of the next one of its half, resized to fit: what chance finds. Intervals are 95 % of 1,000
paired resamplings of the images, for the first method minus each other one, in ODS.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.edges import draw_peers, fit, following, read_edges
from benchmarks._shared.reports import RESAMPLES, guarded, interval, write_json
from trace_edges.evaluation.edges import edge_truth
from trace_edges.evaluation.peers import PEERS
from trace_edges.files import find_images
from trace_edges.formats import open_ground_truth
from trace_edges.metrics import EdgeProtocol
from trace_edges.metrics.counts import EdgeCounts, EdgeTruth, cldice, edge_counts
from trace_edges.metrics.edges import edge_scores

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
    methods = read_edges(options.edges, names)
    methods |= draw_peers(options.peer, {name: images[name] for name in names})
    first, maps = next(iter(methods.items()))
    others = following(names[::2]) | following(names[1::2])
    methods[f"{first}, shuffled"] = {
        name: fit(maps[others[name]], maps[name].shape) for name in names
    }
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
    write_json({"protocol": str(protocol), **record}, options.out, indent=1)


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
    return interval(ods[0] - ods[1])


def _best_f(counts: np.ndarray) -> np.ndarray:
    """(R, 4, T): found and all predicted pixels, found and all true ones, to the best F of R."""
    precision = counts[:, 0] / np.maximum(counts[:, 1], 1)
    recall = counts[:, 2] / np.maximum(counts[:, 3], 1)
    return (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max(-1)


if __name__ == "__main__":
    guarded(main)
