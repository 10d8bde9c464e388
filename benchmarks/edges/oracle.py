"""What limits a detector: how far it would come if one of its faults were mended by the truth.

    python -m benchmarks.edges.oracle IMAGES PANOPTIC_JSON --edges NAME=DIR --out oracle.json

Every row alters the lines of one detector with the help of the ground truth, and is scored like any
detector, on the odd and the even half of the images:

- as it is
- nothing far from a border: lines farther than three tolerances from every true border are removed,
  which are texture, and borders that the ground truth does not know
- ranked perfectly: of all its lines, however weak, those that match a true border have strength 1,
  and the others none
- placed perfectly: lines within three tolerances of a true border move onto it; the others stay
- complete: true borders that none of its lines match are added with strength 1
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt

from benchmarks._shared.edges import read_edges
from benchmarks._shared.reports import guarded, write_json
from trace_edges.evaluation.edges import edge_truth
from trace_edges.files import find_images
from trace_edges.formats import open_ground_truth
from trace_edges.metrics import EdgeProtocol
from trace_edges.metrics.counts import EdgeTruth, edge_counts
from trace_edges.metrics.edges import edge_scores
from trace_edges.metrics.matching import match_pixels

FAR = 3  # tolerances


def main() -> None:
    """Alter, score, print a table for each half, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("truth", type=Path)
    parser.add_argument("--edges", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--thresholds", type=int, default=99)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    protocol = EdgeProtocol(thresholds=options.thresholds)
    source = open_ground_truth(options.truth)
    names = sorted(p.stem for p in find_images([options.images]).images if p.stem in source)
    truth = {name: edge_truth(source[name](), protocol) for name in names}
    counts: dict[str, dict[str, object]] = {}
    for method, maps in read_edges(options.edges, names).items():
        for name in names:
            for change, altered in alterations(maps[name], truth[name], protocol).items():
                found = edge_counts(altered, truth[name], protocol)
                counts.setdefault(f"{method}, {change}", {})[name] = found
    record = {}
    for half, chosen in (("odd", names[::2]), ("even", names[1::2]), ("all", names)):
        print(f"\n{half}: {len(chosen)} images")
        record[half] = {}
        for row, every in counts.items():
            scores = edge_scores({name: every[name] for name in chosen}, protocol)
            record[half][row] = {"ODS": float(scores.ods), "AP": float(scores.ap)}
            print(f"{row:>40} ODS {scores.ods:.3f} AP {scores.ap:.3f}")
    write_json({"protocol": str(protocol), **record}, options.out, indent=1)


def alterations(
    edges: np.ndarray, truth: EdgeTruth, protocol: EdgeProtocol
) -> dict[str, np.ndarray]:
    """The map of one image, altered in each of the ways above."""
    borders = truth.annotations[0]
    reach = protocol.max_distance * math.hypot(*edges.shape)
    distance, (rows, columns) = distance_transform_edt(~borders, return_indices=True)
    near = (distance <= FAR * reach) & borders.any()
    matched, found = match_pixels(edges > 0, borders, reach)
    placed = np.where(near, 0, edges)
    moved = near & (edges > 0)
    np.maximum.at(placed, (rows[moved], columns[moved]), edges[moved])
    return {
        "as it is": edges,
        "nothing far from a border": np.where(near, edges, 0),
        "ranked perfectly": matched.astype(edges.dtype),
        "placed perfectly": placed,
        "complete": np.where(borders & ~found, 1, edges).astype(edges.dtype),
    }


if __name__ == "__main__":
    guarded(main)
