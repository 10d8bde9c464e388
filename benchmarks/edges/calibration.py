"""What a strength is worth: how many of the lines of each strength match a true border.

    python -m benchmarks.edges.calibration IMAGES PANOPTIC_JSON --edges NAME=DIR --out worth

The odd half of the images gives the calibration, worth/NAME.json, and the even half says how far
strengths are from precision as they are, and by that calibration: worth/distances.json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np

from benchmarks._shared.edges import read_edges
from benchmarks._shared.reports import guarded, markdown, write_json
from trace_edges.edge_folder import EdgeFolder
from trace_edges.evaluation.edges import edge_truth
from trace_edges.files import find_images
from trace_edges.formats import open_ground_truth
from trace_edges.metrics import EdgeProtocol
from trace_edges.metrics.calibration import calibrate, shares_by_strength
from trace_edges.metrics.counts import Curve, edge_counts
from trace_edges.results import Calibration

PROTOCOL = EdgeProtocol(thresholds=19)  # 0.05, 0.1, ... 0.95


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
    for given in options.edges:
        method, _, folder = given.partition("=")
        (maps,) = read_edges([given], names).values()
        counts = {name: edge_counts(maps[name], truth[name], PROTOCOL) for name in names}
        halves = [reduce(add, (counts[name] for name in names[start::2])) for start in (0, 1)]
        odd, even = (shares_by_strength(half, PROTOCOL) for half in halves)
        calibration = calibrate(halves[0], PROTOCOL)
        if calibration is None:
            raise ValueError(f"{folder} has no edge on the odd half: give maps that show some")
        calibration = replace(calibration, made_with=EdgeFolder(folder).made_with)
        calibration.save(options.out / f"{method}.json")
        record[method] = distances(even, calibration)
        columns = zip(odd[0], odd[1], even[1], strict=True)
        rows += [(method, *(f"{value:.3f}" for value in row)) for row in columns]
        errors = " to ".join(f"{record[method][name]:.3f}" for name in ("as it is", "by the curve"))
        print(f"{method}: distance from precision, even half: {errors}")
    print(markdown(("edges", "strength", "precision, odd", "precision, even"), rows))
    write_json(record, options.out / "distances.json", indent=1)


def distances(even: tuple[Curve, Curve, Curve], calibration: Calibration) -> dict[str, float]:
    """Mean distances of precision from strengths, by pixel."""
    strengths, measured, pixels = even
    return {
        "as it is": float(np.average(abs(measured - strengths), weights=pixels)),
        "by the curve": float(np.average(abs(measured - calibration(strengths)), weights=pixels)),
    }


if __name__ == "__main__":
    guarded(main)
