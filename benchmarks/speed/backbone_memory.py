"""Memory of every named backbone at 512 px and at its native size, computed without the weights.

    python -m benchmarks.speed.backbone_memory --json memory.json

Then which of them fit which card, by these numbers: the largest of the two resolutions in bfloat16
or float16 that does, "4 bits" where only `--quantize bnb-4bit` would, "no" where nothing would.
Nothing is drawn at random, nothing is downloaded, and no accelerator is needed.
"""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks._shared.costs import empty_backbone
from benchmarks._shared.reports import guarded, markdown, write_json
from trace_edges.backbones import CHECKPOINTS
from trace_edges.backbones.sizing import memory

GIB = 2**30

# GiB that a process can have: of each class the card with the least, from memory. A tenth stays for
# kernels and what the allocator cannot use, as where a resolution is advised.
CARDS = {"T4, 16 GB": 14.5, "RTX 30/40, L4, 24 GB": 22.0, "A100, 40 GB": 39.0,
         "A100, H100, 80 GB": 78.0}  # fmt: skip
RESERVE = 0.1
FOUR_BITS = 0.3  # of the weights in 16 bits: 4, their scales, and layers that are left as they are

Needs = Mapping[str, Mapping[int, tuple[float, float]]]
"""GiB of the weights and at the peak, by name and px."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    rows, needs = [], {}
    print("| name | px | weights | encoding | a step | peak |\n|---|---|---|---|---|---|")
    for name, checkpoint in CHECKPOINTS.items():
        backbone = empty_backbone(name, getattr(torch, options.dtype))
        for px in sorted({512, checkpoint.resolution}):
            found = memory(backbone, (px, px))
            parts = (found.weights, found.encoding, found.step, found.peak)
            print(f"| `{name}` | {px} | " + " | ".join(f"{p / GIB:.2f}" for p in parts) + " |")
            needs.setdefault(name, {})[px] = found.weights / GIB, found.peak / GIB
            rows.append({"name": name, "px": px} | asdict(found) | {"peak": found.peak})
    if options.dtype != "float32":
        print("\n" + card_table(needs))
    if options.json:
        settings = {"dtype": options.dtype, "torch": torch.__version__}
        write_json({"settings": settings, "bytes": rows}, options.json, indent=1)


def card_table(needs: Needs) -> str:
    """Which backbones fit which card, as markdown."""
    rows = [(f"`{name}`", *(fits(sizes, gib) for gib in CARDS.values()))
            for name, sizes in needs.items()]  # fmt: skip
    return markdown(("name", *CARDS), rows)


def fits(sizes: Mapping[int, tuple[float, float]], gib: float) -> str:
    """How a backbone fits into so many GiB.

    Args:
        sizes: of `Needs`.
    """
    left = gib * (1 - RESERVE)
    for px in sorted(sizes, reverse=True):
        if sizes[px][1] <= left:
            return f"{px} px"
    weights, peak = sizes[min(sizes)]
    return "4 bits" if FOUR_BITS * weights + peak - weights <= left else "no"


if __name__ == "__main__":
    guarded(main)
