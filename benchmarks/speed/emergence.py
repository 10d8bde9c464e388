"""At how small a size t* is still found, and what finding it costs there.

    python -m benchmarks.speed.emergence IMAGES --resolutions 96 128 192 256

Where t* is the same the edges are, to the byte: they are read at the full size in any case. For
each size: how often it gives the t* of the last size, CPU seconds an image, and the least ratio of
the largest change to the next one, which says how safe the choice is.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import trace_edges as te
from benchmarks._shared.reports import guarded, write_json
from trace_edges.files import find_images


def main() -> None:
    """Read, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("images")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[96, 128, 192, 256])
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    parser.add_argument("--out", type=Path, default=Path("out/emergence.json"))
    options = parser.parse_args()
    images = sorted(find_images([options.images]).images)[:: options.every]
    pipe = te.TraceEdgePipeline.from_pretrained()
    rows = {}
    for resolution in options.resolutions:
        settings = replace(pipe.default, resolution=resolution, emergence_resolution=resolution)
        begun, chosen, margins = time.process_time(), [], []
        for image in images:
            (reading,) = pipe.read([pipe.prepare(image, settings)], settings)
            assert reading.emergence is not None
            changes = np.sort(reading.emergence.curve[0])
            chosen.append(reading.timestep)
            margins.append(float(changes[-1] / changes[-2]))
        seconds = (time.process_time() - begun) / len(images)
        rows[resolution] = {"t*": chosen, "seconds": seconds, "margin": min(margins)}
    largest = rows[options.resolutions[-1]]["t*"]
    for resolution, row in rows.items():
        same = sum(a == b for a, b in zip(row["t*"], largest, strict=True))
        print(f"{resolution:>4} px: t* as at {options.resolutions[-1]} px {same} of {len(images)}, "
              f"{row['seconds']:.2f} s, margin {row['margin']:.2f}")  # fmt: skip
    write_json(rows, options.out, indent=1)


if __name__ == "__main__":
    guarded(main)
