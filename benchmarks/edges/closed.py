"""Edges that close regions: what they are worth alone, and beside the lines of the detector.

    trace-edges detect IMAGES --out thin
    trace-edges detect IMAGES --out soft --soft --format npy
    python -m benchmarks.edges.closed soft thin --out closed
    python -m benchmarks.edges.halves IMAGES PANOPTIC_JSON --edges thin=thin \
        --edges contours=closed/contours --edges both=closed/both --out halves.json

"contours" are those of the hierarchy of regions, as strong as the weakest place of each: spurs are
gone. "both" are the lines of `thin`; the strength of each is the geometric mean of its own and of
the strongest contour within `NEAR` px.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter

from benchmarks._shared.edges import read_edges
from benchmarks._shared.reports import guarded
from trace_edges.formats.edge_maps import write_edge_map
from trace_edges.instances.hierarchy import build_hierarchy, contours

NEAR = 2


def main() -> None:
    """Write both kinds of maps of every image, as 8-bit PNGs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("soft", type=Path, help="folder of smooth edges")
    parser.add_argument("thin", type=Path, help="folder of thin edges of the same images")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    names = sorted(path.name.removesuffix(".json") for path in options.thin.glob("*.json"))
    given = (f"{kind}={getattr(options, kind)}" for kind in ("soft", "thin"))
    edges = read_edges(list(given), names)
    for name in names:
        closed = contours(build_hierarchy(edges["soft"][name]))
        near = maximum_filter(closed, 2 * NEAR + 1)
        both = np.sqrt(edges["thin"][name] * near)
        for kind, drawn in (("contours", closed), ("both", both)):
            write_edge_map(drawn, options.out / kind / f"{name}.edges.png", "png")


if __name__ == "__main__":
    guarded(main)
