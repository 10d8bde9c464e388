"""Where the time of one image goes, beside two detectors that users would take instead.

    python -m benchmarks.speed.stages examples/cat.jpg --json stages.json --markdown stages.md

CPU seconds on one thread (the least of --repeats, so that other work on the machine counts little),
operations, and operations a second as a share of what this machine reaches in a large product of
matrices. HED and PiDiNet are shapes with random weights (`peers.py`), at the size that the detector
sees. Import and load are of a process of their own. Several --resolutions show how stages grow.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

import trace_edges as te
from benchmarks._shared.reports import guarded, markdown, publish
from benchmarks._shared.timing import least, process_seconds
from benchmarks.speed.peers import Hed, PiDiNet
from trace_edges.detector.drawing import draw_probabilities
from trace_edges.doctor.machine import processor
from trace_edges.drawing.visualize import grey_image
from trace_edges.edge_model import VIEWS
from trace_edges.images import load_image, model_size, resize_image, to_tensor
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import map_change
from trace_edges.training_free.ridges import draw_edges

Shape = tuple[int, ...]
QUALITIES = {name: {"scales": scales, "mirror": mirror}
             for name, (scales, mirror) in VIEWS.items()}  # fmt: skip

TIMESTEP = 99
LOAD = "import trace_edges as te; te.EdgeDetector.from_pretrained()"


def main() -> None:
    """Parse, measure, print a table, write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[512])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    peaks = {"matmul": _peak(_product), "convolution": _peak(_convolution)}
    sizes = {px: measure(options.photograph, px, options.repeats) for px in options.resolutions}
    starts = {"import torch": "import torch", "import and load": LOAD}
    start = {name: min(process_seconds("-c", code) for _ in range(options.repeats))
             for name, code in starts.items()}  # fmt: skip
    record = {"machine": processor(), "peaks_gflop_s": peaks, "start": start, "sizes": sizes}
    publish(record, report(record), options.json, options.markdown)


@torch.inference_mode()
def measure(photograph: Path, resolution: int, repeats: int) -> dict[str, dict[str, float]]:
    """CPU seconds and GFLOP of every stage at one resolution, by name."""
    default = te.EdgeDetector.from_pretrained()
    mini = te.EdgeDetector.from_pretrained("trace-mini")
    student, backbone = mini.student, mini.student.backbone
    content = photograph.read_bytes()
    image = load_image(content)
    height, width, _ = image.shape
    size = model_size(height, width, resolution, default.student.cell)  # trace-mini's cells divide

    def prepared() -> Tensor:
        return to_tensor(resize_image(load_image(content), size))[None]

    images = prepared()
    latents = backbone.encode(images)
    features, _ = student.features(images)
    seen = default.student(images)[0].sigmoid()[0].numpy()
    edges, ridges = draw_probabilities(seen, (height, width))
    attention, grid = backbone.attend(latents, TIMESTEP)[-2:]
    raw = boundary_divergence(attention, grid).numpy()[0]
    stages: dict[str, Callable[[], object]] = {
        "decode and resize": prepared,
        "network": lambda: default.student(images),
        "ridges": lambda: draw_probabilities(seen, (height, width)),
        "write": lambda: grey_image(edges * ridges).save(io.BytesIO(), "PNG"),
        **{
            f"--quality {name}, whole": lambda views=views: default(
                image, resolution=resolution, **views
            )
            for name, views in QUALITIES.items()
        },
        "trace-mini: encoder": lambda: backbone.encode(images),
        "trace-mini: pass": lambda: backbone.predict(latents, 0),
        "trace-mini: decoder": lambda: student.decoder(features, images),
        "trace-mini, whole": lambda: mini(image, resolution=resolution),
        "training-free: pass and capture": lambda: backbone.attend(latents, TIMESTEP),
        "training-free: KL": lambda: map_change(attention, attention, grid, "kl"),
        "training-free: ABDiv": lambda: boundary_divergence(attention, grid),
        "training-free: ridges": lambda: draw_edges(raw, (height, width), 1, 1.0),
    }
    pixels = images.contiguous(memory_format=torch.channels_last)
    for name, kind in {"HED": Hed, "PiDiNet": PiDiNet}.items():
        peer = kind().eval().to(memory_format=torch.channels_last)
        stages[f"{name}'s shape"] = lambda peer=peer: peer(pixels)
    return {
        name: {"seconds": least(call, repeats), "gflop": gflop(call)}
        for name, call in stages.items()
    }


def _attention(query: Shape, key: Shape, value: Shape, *args: Any, **options: Any) -> int:
    return sdpa_flop_count(query, key, value)


# PyTorch counts what a GPU runs, and not the kernel of CPUs.
_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


def gflop(call: Callable[[], object]) -> float:
    """10^9 operations of products and convolutions, two for a multiply and add."""
    with FlopCounterMode(display=False, custom_mapping=_ATTENTION) as counter:
        call()
    return counter.get_total_flops() / 1e9


def _peak(call: Callable[[], object]) -> float:
    with torch.inference_mode():
        return gflop(call) / least(call, 3)


def _product() -> Tensor:
    square = torch.ones(2048, 2048)
    return square @ square


def _convolution() -> Tensor:
    maps = torch.ones(1, 256, 128, 128).contiguous(memory_format=torch.channels_last)
    return F.conv2d(maps, torch.ones(256, 256, 3, 3), padding=1)


def report(record: dict) -> str:
    """Markdown: the peaks, a table for every resolution, and the start."""
    peaks = record["peaks_gflop_s"]
    parts = [
        f"{record['machine']}, one thread, float32; peak {peaks['matmul']:.0f} GFLOP/s in products "
        f"of matrices, {peaks['convolution']:.0f} in convolutions. GPU: not measured."
    ]
    for px, rows in record["sizes"].items():
        parts += [f"{px} px:", table(rows, peaks["matmul"])]
    starts = (f"{name} {seconds:.1f} s" for name, seconds in record["start"].items())
    return "\n\n".join((*parts, f"Start of a process: {', '.join(starts)}."))


def table(rows: Mapping[str, Mapping[str, float]], peak: float) -> str:
    """Markdown: seconds, operations, speed and its share of the peak, and the ratio to HED."""
    hed = rows["HED's shape"]["seconds"]
    lines = []
    for name, row in rows.items():
        speed = row["gflop"] / row["seconds"]
        computed = (f"{row['gflop']:.1f}", f"{speed:.0f}", f"{speed / peak:.0%}")
        if not row["gflop"]:
            computed = ("", "", "")
        lines.append((name, f"{row['seconds']:.3f}", *computed, f"{row['seconds'] / hed:.2f}"))
    head = ("stage", "CPU s", "GFLOP", "GFLOP/s", "of the peak", "HED's shape = 1")
    return markdown(head, lines)


if __name__ == "__main__":
    guarded(main)
