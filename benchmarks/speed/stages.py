"""Time of one image, stage by stage, and how it grows.

    python -m benchmarks.speed.stages PHOTOGRAPH --json out/stages.json --markdown out/stages.md

Stages of the training-free method on one step: load (decode), encode (VAE), pass (the denoiser
alone), capture (what recording adds to the pass), KL, ABDiv, subcell (the shifted views beyond the
first), draw (from the grid to pixels, with NMS), write (PNG). Median of --repeats after one to warm
up. Beside them the capture that keeps every head, (heads, N, N) at once, as the naive one. Ratios
are to the plain pass. Growth: --resolutions and --batches. CPU, or --device cuda.
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks._shared.reports import guarded, markdown, publish
from benchmarks._shared.timing import median
from trace_edges.attention import maps
from trace_edges.backbones import load_backbone
from trace_edges.doctor.machine import processor
from trace_edges.drawing.visualize import grey_image
from trace_edges.images import load_image, model_size
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import map_change
from trace_edges.training_free.ridges import draw_edges
from trace_edges.training_free.shifts import shifted_views

COLUMNS = ("load", "encode", "pass", "capture", "kl", "abdiv", "subcell", "draw", "write")
TIMESTEP = 99


def main() -> None:
    """Parse, measure, print a table, write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--backbone", default="trace-mini")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[256, 384, 512])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cuda = options.device.startswith("cuda")
    record = {
        "backbone": options.backbone,
        "dtype": options.dtype,
        "device": torch.cuda.get_device_name() if cuda else processor(),
        "threads": options.threads,
        "load_average": os.getloadavg()[0],
        "rows": [],
    }
    for resolution in options.resolutions:
        for batch in options.batches if resolution == options.resolutions[0] else [1]:
            record["rows"].append(stages(options, resolution, batch))
            print(f"{resolution} px, batch of {batch}: measured", flush=True)
    publish(record, table(record), options.json, options.markdown)


@torch.inference_mode()
def stages(options: argparse.Namespace, resolution: int, batch: int) -> dict:
    """Seconds of every stage for `batch` copies of the photograph, and the ratios."""
    placement = {"device": options.device, "dtype": getattr(torch, options.dtype)}
    backbone = load_backbone(options.backbone, **placement)

    def timed(call: Callable[[], object]) -> float:
        return median(call, options.repeats, options.device)

    content = options.photograph.read_bytes()
    image = load_image(content)
    height, width, _ = image.shape
    size = model_size(height, width, resolution, backbone.cell)
    images = next(shifted_views([image] * batch, size, backbone.cell, 1))[1].to(options.device)
    latents = backbone.encode(images)
    attention, grid = backbone.attend(latents, TIMESTEP)[-2:]
    raw = boundary_divergence(attention, grid).cpu().numpy()
    edges, ridges = draw_edges(raw[0], (height, width), 1, 1.0)

    seconds = {
        "load": batch * timed(lambda: load_image(content)),
        "encode": timed(lambda: backbone.encode(images)),
        "pass": timed(lambda: backbone.predict(latents, TIMESTEP)),
        "kl": timed(lambda: map_change(attention, attention, grid, "kl")),
        "abdiv": timed(lambda: boundary_divergence(attention, grid)),
        "draw": batch * timed(lambda: draw_edges(raw[0], (height, width), 1, 1.0)),
        "write": batch * timed(lambda: grey_image(edges * ridges).save(io.BytesIO(), "PNG")),
    }
    captured = timed(lambda: backbone.attend(latents, TIMESTEP))
    blocks, maps.add_head_mean = maps.add_head_mean, add_head_mean_naive
    naive = timed(lambda: backbone.attend(latents, TIMESTEP))
    maps.add_head_mean = blocks
    seconds["capture"] = captured - seconds["pass"]
    # Three more views of everything between the image and ABDiv, at subcell = 2.
    seconds["subcell"] = 3 * (seconds["encode"] + captured + seconds["abdiv"])
    return {
        "px": resolution,
        "tokens": grid[0] * grid[1],
        "batch": batch,
        "seconds": seconds,
        "pass_and_capture": captured / seconds["pass"],
        "pass_and_naive_capture": naive / seconds["pass"],
    }


def add_head_mean_naive(total: Tensor, q: Tensor, k: Tensor, scale: float) -> None:
    """The formula as it stands: all heads at once."""
    total += torch.softmax(q.float() @ k.float().mT * scale, dim=-1).mean(dim=1)


def table(record: dict) -> str:
    """Markdown: milliseconds of every stage, and the ratios."""
    head = ["px", "tokens", "batch", *COLUMNS, "pass + capture", "naive"]
    title = (
        f"{record['backbone']}, {record['dtype']}, {record['device']}, "
        f"{record['threads']} threads, load average {record['load_average']:.1f}; ms"
    )
    lines = []
    for row in record["rows"]:
        times = [f"{1000 * row['seconds'][name]:.0f}" for name in COLUMNS]
        ratios = [f"{row[name]:.2f} x" for name in ("pass_and_capture", "pass_and_naive_capture")]
        lines.append((row["px"], row["tokens"], row["batch"], *times, *ratios))
    return f"{title}\n\n{markdown(head, lines)}"


if __name__ == "__main__":
    guarded(main)
