"""Teacher against student on the same pictures: seconds an image, and where the student's go.

    python benchmarks/one_step.py IMAGES --out one_step.json [--threads 2] [--device cpu]

Both are warmed up on the first picture and then take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

import trace_edges as te
from trace_edges.files import find_images, write_atomically
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
        if options.device != "cpu":
            torch.accelerator.synchronize()
        start = time.perf_counter()
        result = call()
        if options.device != "cpu":
            torch.accelerator.synchronize()
        seconds.setdefault(what, []).append(time.perf_counter() - start)
        return result

    for picture in (load_image(path) for path in (images[0], *images)):
        timed("teacher", lambda picture=picture: teacher(picture))
        timed("student", lambda picture=picture: student(picture))
        _parts(student, picture, timed)
    middle = {what: median(measured[1:]) for what, measured in seconds.items()}  # without warm-up
    for what, value in middle.items():
        print(f"{what:>22} {value:8.3f} s")
    ratio = middle["teacher"] / middle["student"]
    print(f"{'teacher / student':>22} {ratio:8.1f}   ({len(images)} images, {platform.machine()})")
    with write_atomically(options.out) as temporary:
        record = {"settings": vars(options), "median_s": middle, "all_s": seconds, "ratio": ratio}
        temporary.write_text(json.dumps(record, default=str, indent=1) + "\n")


@torch.inference_mode()
def _parts(detector: te.EdgeDetector, picture: object, timed: Callable) -> None:
    """Encoder, one pass, and G_phi, each alone, at the size the student sees."""
    student, backbone = detector.student, detector.student.backbone
    height, width, _ = picture.shape
    size = model_size(height, width, detector.resolution, backbone.cell)
    image = to_tensor(resize_image(picture, size))[None].to(backbone.device)
    latents = timed("encoder", lambda: backbone.encode(image))
    timed("pass", lambda: backbone.predict(latents, 0))
    features, _ = student.features(image)
    timed("decoder (G_phi)", lambda: student.decoder(features, image))


if __name__ == "__main__":
    main()
