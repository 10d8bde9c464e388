"""Milliseconds of propagation: masks of one image cut by its edges and filled again.

    OMP_NUM_THREADS=1 python -m benchmarks.masks.propagation --json propagation.json

Cells around random centres, 40 at every size, in three classes; their boundary has strength 1, and
one pixel in a hundred of it is missing. Times a label map of the three classes through BGP, the way
to a panoptic map, and, on request, the random walk at the smallest size. Times are of the CPU, so
that other work on the machine does not count. Prints a Markdown table of medians, with the time per
million pixels and the exponent of the growth; --json also writes the numbers and the versions.
"""

import argparse
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks._shared.reports import guarded, write_json
from benchmarks._shared.timing import median
from trace_edges.doctor.machine import processor
from trace_edges.instances import Propagation, panoptic_from_semantic, refine_instances
from trace_edges.metrics.boundaries import boundaries_from_labels

INSTANCES, CLASSES = 40, 3
SIZES = (256, 512, 1024, 2048)


def image(side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes 1 ... 3 of each pixel, and the edges between the cells."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    nearest, cells = np.full((side, side), np.inf, np.float32), np.zeros((side, side), np.int32)
    for number, (row, column) in enumerate(rng.random((INSTANCES, 2)) * side):
        distance = (rows - row) ** 2 + (columns - column) ** 2
        closer = distance < nearest
        nearest[closer], cells[closer] = distance[closer], number
    edges = boundaries_from_labels(cells) & (rng.random((side, side)) > 0.01)
    return 1 + cells % CLASSES, edges.astype(np.float32)


def median_ms(function: Callable[[], object], repeats: int) -> float:
    """Of the CPU's time."""
    return 1000 * median(function, repeats, clock=time.process_time)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--random-walk", action="store_true", help="time the random walk as well, at the first size"
    )
    parser.add_argument("--json", type=Path, metavar="PATH")
    arguments = parser.parse_args()

    rows = []
    print("| side, px | instances found | BGP, ms | ms per Mpx | to a panoptic map, ms |")
    print("| --- | --- | --- | --- | --- |")
    for side in SIZES:
        classes, edges = image(side, seed=0)
        bgp = median_ms(
            lambda c=classes, e=edges: refine_instances(c, e, split_parts=True), arguments.repeats
        )
        panoptic = median_ms(
            lambda c=classes, e=edges: panoptic_from_semantic(c, e, things={1, 2, 3}),
            arguments.repeats,
        )
        found = int(refine_instances(classes, edges, split_parts=True).max())
        row = {"side": side, "found": found, "bgp_ms": bgp, "panoptic_ms": panoptic}
        rows.append(row)
        print(f"| {side} | {found} | {bgp:.1f} | {bgp / side**2 * 1e6:.0f} | {panoptic:.1f} |")
    pixels = np.log([row["side"] ** 2 for row in rows])
    growth = float(np.polyfit(pixels, np.log([row["bgp_ms"] for row in rows]), 1)[0])
    print(f"\nBGP grows with the pixels to the power {growth:.2f}; {processor()}")
    if arguments.random_walk:
        classes, edges = image(SIZES[0], seed=0)
        walk = Propagation(method="random_walk")
        took = median_ms(
            lambda: refine_instances(classes, edges, propagation=walk, split_parts=True), 1
        )
        rows.append({"side": SIZES[0], "random_walk_ms": took})
        print(f"\nrandom walk, {SIZES[0]} px: {took:.0f} ms")
    if arguments.json:
        report = {
            "instances": INSTANCES,
            "classes": CLASSES,
            "repeats": arguments.repeats,
            "machine": processor(),
            "growth": growth,
            "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-image")},
            "rows": rows,
        }
        write_json(report, arguments.json, indent=2)


if __name__ == "__main__":
    guarded(main)
