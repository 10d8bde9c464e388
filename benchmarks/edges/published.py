"""Published results on BSDS500 from the published maps: how near `--nms toolbox` comes to them.

    python -m benchmarks.edges.published --maps PiDiNet=DIR --truth BSDS500/data/groundTruth/test \
        --out published.json

Neither BSDS500 nor the maps are part of this package, and its own tests and documents have no
number of this script. PiDiNet's authors offer their maps (PNG, smooth, at the size of the images)
in the repository hellozhuo/pidinet; the benchmark itself is at Berkeley's computer vision group.
The published numbers below are those of the papers' tables, from memory: ODS and OIS on the 200
test images. The protocol is the benchmark's: 99 thresholds, thinned, within 0.0075 of the diagonal.
Both kinds of suppression are scored, so that what the convention is worth is seen beside it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks._shared.reports import guarded, markdown, publish
from trace_edges.evaluation.edges import evaluate_edge_folders
from trace_edges.formats import open_ground_truth
from trace_edges.metrics.protocol import BSDS, Suppression

PUBLISHED = {"PiDiNet": (0.807, 0.823), "HED": (0.788, 0.808)}  # ODS, OIS
WITHIN = 0.002
KINDS: tuple[Suppression, ...] = ("toolbox", "ridges")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--truth", type=Path, required=True, help="folder of BSDS500's .mat files")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    folders = {name: Path(path) for name, path in (one.split("=", 1) for one in options.maps)}
    truth = open_ground_truth(options.truth)
    rows, record = [], []
    for kind in KINDS:
        cache = options.out.with_suffix("") / "counts"
        found = evaluate_edge_folders(
            folders, truth, replace(BSDS, nms=kind), cache=cache, workers=options.workers
        )
        for problem in found.problems:
            print(problem)
        for name, scores in found.scores.items():
            ours, published = (float(scores.ods), float(scores.ois)), PUBLISHED.get(name)
            row = {"maps": name, "nms": kind, "images": len(found.images), "ours": ours}
            record.append(row | {"published": published})
            cells = ["", ""]
            if published is not None:
                cells = [f"{p:.3f} ({o - p:+.4f})" for o, p in zip(ours, published, strict=True)]
                off = max(abs(o - p) for o, p in zip(ours, published, strict=True))
                cells.append("yes" if off <= WITHIN else "no")
            rows.append((name, kind, len(found.images), *(f"{o:.4f}" for o in ours), *cells))
    header = ("maps", "--nms", "images", "ODS", "OIS", "published ODS", "published OIS",
              f"both within {WITHIN}")  # fmt: skip
    publish(
        record, markdown(header, [(*row, "")[: len(header)] for row in rows]), options.out, None
    )


if __name__ == "__main__":
    guarded(main)
