"""Where the time of one image goes, beside two detectors that users would take instead.

    python -m benchmarks.speed.table examples/cat.jpg --json out/table.json --markdown out/table.md

CPU seconds (the least of --repeats, so that other work on the machine counts little), operations,
and operations a second as a share of what this machine reaches in a large product of matrices. HED
and PiDiNet are their shapes alone, built here from their papers with random weights, at the size
that the student sees. Import and load are of a process of their own.
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import trace_edges as te
from benchmarks._shared.reports import guarded, markdown, publish
from trace_edges.detector.drawing import draw_probabilities
from trace_edges.doctor.machine import processor
from trace_edges.drawing.visualize import grey_image
from trace_edges.images import load_image, model_size, resize_image, to_tensor
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import map_change
from trace_edges.training_free.ridges import draw_edges

TIMESTEP = 99
LOAD = "import trace_edges as te; te.EdgeDetector.from_pretrained()"


def main() -> None:
    """Parse, measure, print a table, write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    peaks = {"matmul": _peak(_product), "convolution": _peak(_convolution)}
    rows = measure(options.photograph, options.resolution, options.repeats)
    for name, code in {"import torch": "import torch", "import and load": LOAD}.items():
        rows[name] = {"seconds": min(_process(code) for _ in range(options.repeats)), "gflop": 0.0}
    record = {"machine": processor(), "threads": 1, "peaks_gflop_s": peaks, "rows": rows}
    publish(record, table(record), options.json, options.markdown)


@torch.inference_mode()
def measure(photograph: Path, resolution: int | None, repeats: int) -> dict[str, dict[str, float]]:
    """CPU seconds and GFLOP of every stage, one-step first, by name."""
    detector = te.EdgeDetector.from_pretrained()
    student, backbone = detector.student, detector.student.backbone
    content = photograph.read_bytes()
    image = load_image(content)
    height, width, _ = image.shape
    size = model_size(height, width, resolution or detector.resolution, backbone.cell)

    def prepared() -> Tensor:
        return to_tensor(resize_image(load_image(content), size))[None]

    images = prepared()
    latents = backbone.encode(images)
    features, _ = student.features(images)
    seen = student.decoder(features, images).sigmoid()[0].numpy()
    edges, ridges = draw_probabilities(seen, (height, width))
    attention, grid = backbone.attend(latents, TIMESTEP)[-2:]
    raw = boundary_divergence(attention, grid).numpy()[0]
    stages: dict[str, Callable[[], object]] = {
        "decode and resize": prepared,
        "encoder": lambda: backbone.encode(images),
        "pass": lambda: backbone.predict(latents, 0),
        "decoder": lambda: student.decoder(features, images),
        "ridges": lambda: draw_probabilities(seen, (height, width)),
        "write": lambda: grey_image(edges * ridges).save(io.BytesIO(), "PNG"),
        "one step, whole": lambda: detector(image, resolution=resolution),
        "training-free: pass and capture": lambda: backbone.attend(latents, TIMESTEP),
        "training-free: KL": lambda: map_change(attention, attention, grid, "kl"),
        "training-free: ABDiv": lambda: boundary_divergence(attention, grid),
        "training-free: ridges": lambda: draw_edges(raw, (height, width), 1, 1.0),
    }
    for kind in (Hed, PiDiNet):
        peer = kind().eval().to(memory_format=torch.channels_last)
        pixels = images.contiguous(memory_format=torch.channels_last)
        stages[f"{kind.__name__}'s shape"] = lambda peer=peer, pixels=pixels: peer(pixels)
    return {
        name: {"seconds": least(call, repeats), "gflop": gflop(call)}
        for name, call in stages.items()
    }


def least(call: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the fastest call, after one to warm up."""
    call()
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return min(taken)


def gflop(call: Callable[[], object]) -> float:
    """10^9 operations of products and convolutions, two for a multiply and add."""
    with FlopCounterMode(display=False) as counter:
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


def _process(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(record: dict) -> str:
    """Markdown: seconds, operations, speed and its share, and the ratio to HED's shape."""
    rows, peaks = record["rows"], record["peaks_gflop_s"]
    hed = rows["Hed's shape"]["seconds"]
    lines = []
    for name, row in rows.items():
        speed = row["gflop"] / row["seconds"]
        computed = (f"{row['gflop']:.1f}", f"{speed:.0f}", f"{speed / peaks['matmul']:.0%}")
        if not row["gflop"]:
            computed = ("", "", "")
        lines.append((name, f"{row['seconds']:.3f}", *computed, f"{row['seconds'] / hed:.2f}"))
    head = ("stage", "CPU s", "GFLOP", "GFLOP/s", "of matmul's peak", "HED's shape = 1")
    title = (
        f"{record['machine']}, one thread, float32; peak {peaks['matmul']:.0f} GFLOP/s in matmul, "
        f"{peaks['convolution']:.0f} in convolution. GPU: not measured."
    )
    return f"{title}\n\n{markdown(head, lines)}"


class Hed(nn.Module):
    """HED (Xie and Tu, ICCV 2015): VGG16 without its last pooling, an edge map of each stage."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = 3
        for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if len(self.stages) else []
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            self.stages.append(nn.Sequential(*layers))
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in (64, 128, 256, 512, 512))
        self.fuse = nn.Conv2d(5, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        size, sides = x.shape[-2:], []
        for stage, side in zip(self.stages, self.sides, strict=True):
            x = stage(x)
            sides.append(F.interpolate(side(x), size, mode="bilinear", align_corners=False))
        return self.fuse(torch.cat(sides, dim=1)).sigmoid()


class PiDiNet(nn.Module):
    """PiDiNet (Su et al., ICCV 2021) as it runs once trained: pixel differences are plain depthwise
    convolutions then. Four stages of four blocks, and an edge map of each.
    """

    def __init__(self, width: int = 60, inner: int = 24) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.stages, channels = nn.ModuleList(), width
        for number, out in enumerate(widths):
            blocks = []
            for place in range(4 if number else 3):
                blocks.append(_Difference(channels, out, halve=bool(number) and place == 0))
                channels = out
            self.stages.append(nn.Sequential(*blocks))
        self.squeeze = nn.ModuleList(nn.Conv2d(out, inner, 1) for out in widths)
        self.dilated = nn.ModuleList(
            nn.ModuleList(
                nn.Conv2d(inner, inner, 3, padding=d, dilation=d, bias=False) for d in (5, 7, 9, 11)
            )
            for _ in widths
        )
        self.sides = nn.ModuleList(nn.Conv2d(inner, 1, 1) for _ in widths)
        self.fuse = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        size, sides = x.shape[-2:], []
        x = self.enter(x)
        for number, stage in enumerate(self.stages):
            x = stage(x)
            small = F.relu(self.squeeze[number](x))
            spread = sum(layer(small) for layer in self.dilated[number])
            side = self.sides[number](spread)
            sides.append(F.interpolate(side, size, mode="bilinear", align_corners=False))
        return self.fuse(torch.cat(sides, dim=1)).sigmoid()


class _Difference(nn.Module):
    def __init__(self, channels: int, out: int, halve: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2) if halve else nn.Identity()
        self.each = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.mix = nn.Conv2d(channels, out, 1, bias=False)
        self.skip = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        return self.mix(F.relu(self.each(x))) + self.skip(x)


if __name__ == "__main__":
    guarded(main)
