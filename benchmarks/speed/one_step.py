"""Teacher against student on the same images: seconds an image, and where the student's go.

    python -m benchmarks.speed.one_step IMAGES --out one_step.json [--threads 2] [--device cpu]

Both are warmed up on the first image and then take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

import trace_edges as te
from benchmarks._shared.reports import guarded, write_json
from benchmarks._shared.timing import stopwatch
from trace_edges.doctor.machine import processor
from trace_edges.files import find_images
from trace_edges.images import load_image, model_size, resize_image, to_tensor


def main() -> None:
    """Parse, measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("--detector", default="trace-mini")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="the student, with torch.compile")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = find_images([options.images]).images
    teacher = te.TraceEdgePipeline.from_pretrained(device=options.device)
    student = te.EdgeDetector.from_pretrained(options.detector, device=options.device)
    student.merge_lora()
    if options.compile:
        student.compile()
    seconds: dict[str, list[float]] = {}

    def timed(what: str, call: Callable[[], object]) -> object:
        took, result = stopwatch(call, options.device)
        seconds.setdefault(what, []).append(took)
        return result

    for image in (load_image(path) for path in (images[0], *images)):
        timed("teacher", lambda image=image: teacher(image))
        timed("student", lambda image=image: student(image))
        _parts(student, image, timed)
    middle = {what: median(measured[1:]) for what, measured in seconds.items()}  # without warm-up
    for what, value in middle.items():
        print(f"{what:>22} {value:8.3f} s")
    ratio = middle["teacher"] / middle["student"]
    print(f"{'teacher / student':>22} {ratio:8.1f}   ({len(images)} images, {processor()})")
    record = {"settings": vars(options), "median_s": middle, "all_s": seconds, "ratio": ratio}
    write_json(record, options.out, indent=1)


@torch.inference_mode()
def _parts(detector: te.EdgeDetector, image: object, timed: Callable) -> None:
    """Encoder, one pass, and G_phi, each alone, at the size the student sees."""
    student, backbone = detector.student, detector.student.backbone
    height, width, _ = image.shape
    size = model_size(height, width, detector.resolution, backbone.cell)
    tensor = to_tensor(resize_image(image, size))[None].to(backbone.device)
    latents = timed("encoder", lambda: backbone.encode(tensor))
    timed("pass", lambda: backbone.predict(latents, 0))
    features, _ = student.features(tensor)
    timed("decoder (G_phi)", lambda: student.decoder(features, tensor))


if __name__ == "__main__":
    guarded(main)
