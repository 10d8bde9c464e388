"""What a strength is worth: how many of the lines of each strength match a true border.

    python -m benchmarks.edges.calibration IMAGES PANOPTIC_JSON --edges NAME=DIR --out worth.json

The odd half of the images gives a rising curve from strengths to precision, and the even half says
how far strengths are from precision as they are, and by that curve.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression

from benchmarks._shared.edges import read_edges
from benchmarks._shared.reports import guarded, markdown, write_json
from trace_edges.evaluation.edges import edge_truth
from trace_edges.files import find_images
from trace_edges.formats import open_ground_truth
from trace_edges.metrics import EdgeProtocol
from trace_edges.metrics.counts import EdgeCounts, edge_counts

PROTOCOL = EdgeProtocol(thresholds=19)  # 0.05, 0.1, ... 0.95

Shares = Float[np.ndarray, " n"]


def main() -> None:
    """Match at every threshold, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("truth", type=Path)
    parser.add_argument("--edges", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    source = open_ground_truth(options.truth)
    names = sorted(p.stem for p in find_images([options.images]).images if p.stem in source)
    truth = {name: edge_truth(source[name](), PROTOCOL) for name in names}
    record, rows = {}, []
    for method, maps in read_edges(options.edges, names).items():
        counts = {name: edge_counts(maps[name], truth[name], PROTOCOL) for name in names}
        odd, even = (precision(counts, names[start::2]) for start in (0, 1))
        record[method] = worth(odd, even)
        columns = zip(odd[0], odd[1], even[1], strict=True)
        rows += [(method, *(f"{value:.3f}" for value in row)) for row in columns]
        errors = " to ".join(f"{record[method][name]:.3f}" for name in ("as it is", "by the curve"))
        print(f"{method}: distance from precision, even half: {errors}")
    print(markdown(("edges", "strength", "precision, odd", "precision, even"), rows))
    write_json(record, options.out, indent=1)


def precision(counts: Mapping[str, EdgeCounts], names: list[str]) -> tuple[Shares, Shares, Shares]:
    """Mean strength, precision and number of pixels between one threshold and the next."""
    pooled = reduce(add, (counts[name] for name in names))
    total, matched = (
        -np.diff(every, append=0) for every in (pooled.total_pred, pooled.matched_pred)
    )
    middles = PROTOCOL.levels + 0.5 / (PROTOCOL.thresholds + 1)
    return middles, (matched / np.maximum(total, 1)).clip(0, 1), total.clip(0)


def worth(
    odd: tuple[Shares, Shares, Shares], even: tuple[Shares, Shares, Shares]
) -> dict[str, object]:
    """The curve of the odd half, and mean distances of the even half's precision, by pixel."""
    strengths, measured, pixels = odd
    curve = isotonic_regression(measured, weights=np.maximum(pixels, 1)).x
    return {
        "strengths": strengths.tolist(), "precision": curve.tolist(),
        "as it is": float(np.average(abs(even[1] - strengths), weights=even[2])),
        "by the curve": float(np.average(abs(even[1] - curve), weights=even[2])),
    }  # fmt: skip


if __name__ == "__main__":
    guarded(main)
