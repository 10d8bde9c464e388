"""Memory of every named backbone at 512 px and at its native size, computed without the weights.

    python -m benchmarks.speed.backbone_memory --json memory.json

Nothing is drawn at random, nothing is downloaded, and no accelerator is needed.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks._shared.reports import write_json
from trace_edges.backbones import CHECKPOINTS
from trace_edges.backbones.sizing import empty_backbone, memory

GIB = 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    rows = []
    print("| name | px | weights | encoding | a step | peak |\n|---|---|---|---|---|---|")
    for name, checkpoint in CHECKPOINTS.items():
        backbone = empty_backbone(name, getattr(torch, options.dtype))
        for px in sorted({512, checkpoint.resolution}):
            found = memory(backbone, (px, px))
            parts = (found.weights, found.encoding, found.step, found.peak)
            print(f"| `{name}` | {px} | " + " | ".join(f"{p / GIB:.2f}" for p in parts) + " |")
            rows.append({"name": name, "px": px} | asdict(found) | {"peak": found.peak})
    if options.json:
        settings = {"dtype": options.dtype, "torch": torch.__version__}
        write_json({"settings": settings, "bytes": rows}, options.json, indent=1)


if __name__ == "__main__":
    main()
