"""Time of a pass and of a capture at full size, with random weights, and memory on a GPU.

    python -m benchmarks.speed.full_size --json full_size.json         # the paper's, on a GPU
    python -m benchmarks.speed.full_size sd15 --px 512 --device cpu --dtype float32

Models are those of the table, at 512 px and at their native size; weights are drawn at random where
they run, so nothing is downloaded. What they compute has no meaning, but what it costs is the same.
Median of --repeats after one to warm up; ratios are to the plain pass of the same run. "computed"
is the peak that `sizing.memory` gives, "measured" that of torch's allocator in a pass with capture.
With --whole also the training-free method, all its steps read at this size, and one step of an
untrained student; both from the image to the edges. The JSON file grows with every line.
"""

from __future__ import annotations

import argparse
import gc
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks._shared.costs import empty_backbone
from benchmarks._shared.reports import guarded, write_json
from benchmarks._shared.timing import median
from trace_edges.backbones import CHECKPOINTS, DiffusionBackbone
from trace_edges.backbones.sizing import memory
from trace_edges.detector import EdgeDetector, Student, StudentSettings
from trace_edges.doctor.machine import processor
from trace_edges.training_free.pipeline import TraceEdgePipeline

PAPER = ("sd15", "sdxl", "pixart-alpha", "sd3.5-large", "flux-dev")
GIB = 2**30
TIMESTEP = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=PAPER, help=f"default: {' '.join(PAPER)}")
    parser.add_argument(
        "--px", type=int, nargs="+", help="sizes in pixels; default: 512 and the native size"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--whole", action="store_true", help="time whole images as well, by both methods"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in CHECKPOINTS]:
        raise SystemExit(f"no backbone {unknown[0]!r}; known: {', '.join(CHECKPOINTS)}")
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    cuda = device.type == "cuda"
    machine = torch.cuda.get_device_name(device) if cuda else processor()
    print(
        f"{machine}, {torch.get_num_threads()} threads, {options.dtype}, torch {torch.__version__}"
    )
    settings = {"machine": machine, "dtype": options.dtype, "torch": torch.__version__}
    print("| name | px | pass, s | pass + capture | training-free, s | one step, s "
          "| computed, GiB | measured, GiB |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    rows = []
    for name in options.names:
        backbone = random_backbone(name, dtype, device)
        for px in options.px or sorted({512, CHECKPOINTS[name].resolution}):
            computed = memory(empty_backbone(name, dtype), (px, px)).peak
            row = {"name": name, "px": px, "computed": computed}
            row |= timed(backbone, px, options.repeats)
            if options.whole:
                row |= whole(backbone, px)
            rows.append(row)
            print(line(row), flush=True)
            if options.json:
                write_json({"settings": settings, "rows": rows}, options.json, indent=1)
        del backbone
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()


def line(row: dict[str, Any]) -> str:
    """One of the table; what was not measured is left empty."""
    seconds = [f"{row[what]:.3f}" if what in row else "" for what in ("training_free", "one_step")]
    cells = [f"`{row['name']}`", row["px"], f"{row['pass']:.3f}",
             f"{row['capture'] / row['pass']:.2f} x", *seconds, f"{row['computed'] / GIB:.2f}",
             f"{row['measured'] / GIB:.2f}" if "measured" in row else ""]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


@torch.no_grad()
def random_backbone(name: str, dtype: torch.dtype, device: torch.device) -> DiffusionBackbone:
    """A named checkpoint with weights as small as those of a model before it has learnt."""
    empty = empty_backbone(name, dtype)
    for model in empty.models:
        nn.Module.to_empty(model, device=device)
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.02)
        for buffer in model.buffers():
            buffer.zero_()
    shapes = empty.family.condition(empty.denoiser.config)
    null = {key: torch.zeros(shape, dtype=dtype) for key, shape in shapes.items()}
    backbone = DiffusionBackbone(
        name, empty.family, empty.denoiser, empty.vae, empty.schedule, null
    )
    return backbone.to(device)


@torch.inference_mode()
def timed(backbone: DiffusionBackbone, px: int, repeats: int) -> dict[str, Any]:
    """Seconds of a pass and of a pass with capture, and the peak of a step with its encoding."""
    kind = backbone.device.type
    if kind == "cuda":
        torch.cuda.reset_peak_memory_stats(backbone.device)
    latents = backbone.encode(torch.zeros(1, 3, px, px))
    found: dict[str, Any] = {
        "pass": median(lambda: backbone.predict(latents, TIMESTEP), repeats, kind),
        "capture": median(lambda: backbone.attend(latents, TIMESTEP), repeats, kind),
    }
    if kind == "cuda":
        found["measured"] = torch.cuda.max_memory_allocated(backbone.device)
    return found


def whole(backbone: DiffusionBackbone, px: int) -> dict[str, float]:
    """Seconds of an image by the training-free method, and of one by a student's one step."""
    image = np.random.default_rng(0).integers(0, 256, (px, px, 3), dtype=np.uint8)
    pipe, kind = TraceEdgePipeline(backbone), backbone.device.type
    free = median(lambda: pipe(image, resolution=px, emergence_resolution=px), 1, kind)
    student = Student(backbone, StudentSettings(), base="random weights")
    detector = EdgeDetector(student.to(backbone.device), px)
    return {"training_free": free, "one_step": median(lambda: detector(image), 3, kind)}


if __name__ == "__main__":
    guarded(main)
