"""How the time of what is done with many instances grows with the pixels, and with the instances.

    OMP_NUM_THREADS=1 python -m benchmarks.masks.growth --json growth.json
    OMP_NUM_THREADS=1 python -m benchmarks.masks.growth --large

Instances are cells of a grid with wavy borders. Times are of the CPU, so that other work on the
machine does not count; of two runs the faster one counts where one is shorter than a second. An
exponent is the slope of the logarithm of the time over that of the pixels, or of the instances, at
four sizes each. What goes through the image pixel by pixel has an exponent of 1 in the pixels and
of 0 in the instances. --large instead runs the commands, each in a process of its own, on one image
of 24 megapixels with 2,000 instances, and prints the seconds of the CPU and the peak of the memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from benchmarks._shared.reports import guarded, markdown, publish
from benchmarks._shared.timing import stopwatch
from trace_edges.doctor.machine import processor
from trace_edges.formats import export_coco, export_label_studio, export_panoptic, export_yolo
from trace_edges.formats.edge_maps import write_edge_map
from trace_edges.formats.labels import write_label_png
from trace_edges.instances import instances_from_edges, panoptic_from_semantic, refine_instances
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.results import Category, InstanceMasks

SIDES, FEW = (256, 512, 1024, 2048), 64
COUNTS, SIDE = (64, 256, 1024, 4096), 1024
LARGE = (4000, 6000), 2000
CATEGORIES = [Category(k, f"class {k}", thing=k < 4) for k in range(1, 5)]


def cells(size: tuple[int, int], count: int) -> np.ndarray:
    """(h, w) cells 1 .. about `count`, all of one size, whose borders are waves."""
    rows = max(1, round((count * size[0] / size[1]) ** 0.5))
    columns = max(1, round(count / rows))
    down, right = np.arange(size[0])[:, None], np.arange(size[1])[None]
    pitch = size[0] / rows, size[1] / columns
    waves = [0.2 * side * np.sin(np.arange(max(size)) * 9 / side) for side in pitch]
    row = np.clip((down + waves[0][right]) // pitch[0], 0, rows - 1)
    column = np.clip((right + waves[1][down]) // pitch[1], 0, columns - 1)
    return (row * columns + column + 1).astype(np.int32)


def works(size: tuple[int, int], count: int, out: Path) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    labels = cells(size, count)
    edges = boundaries_from_labels(labels).astype(np.float32)
    masks = InstanceMasks.from_labels(labels)
    image = np.zeros((*size, 3), dtype=np.uint8)
    classes = 1 + labels % 4  # things of three classes, and stuff
    semantic = panoptic_from_semantic(classes, edges, things={1, 2, 3}, void=0)
    # A board of two classes; of one, half of the parts are small and have the other around them.
    hidden = 1 + (labels + labels // max(1, round((count * size[1] / size[0]) ** 0.5))) % 2
    rim = distance_transform_edt(edges == 0) < 0.3 * (size[0] * size[1] / count) ** 0.5
    hidden[rim & (labels // 2 % 2 == 0)] = 2
    pitch = (size[0] * size[1] / count) ** 0.5 / 2
    odd = [np.arange(side) // pitch % 2 == 1 for side in size]
    sieve = ~(odd[0][:, None] & odd[1])  # one mask with as many holes
    return {
        "regions of edges": lambda: instances_from_edges(edges),
        "refine a label map": lambda: refine_instances(labels, edges),
        "refine masks": lambda: refine_instances(masks, edges),
        "panoptic map": lambda: panoptic_from_semantic(classes, edges, {1, 2, 3}, void=0),
        "panoptic map, hidden parts": lambda: panoptic_from_semantic(hidden, edges, {1, 2}, void=0),
        "overlay of masks": lambda: masks.overlay(image),
        "overlay of segments": lambda: semantic.overlay(image),
        "COCO": lambda: export_coco(masks, out / "coco.json"),
        "COCO panoptic": lambda: export_panoptic(semantic, out / "panoptic.json", CATEGORIES),
        "YOLO": lambda: export_yolo(masks, out / "yolo"),
        "YOLO, one mask with holes": lambda: export_yolo(
            InstanceMasks(sieve[None]), out / "holes"
        ),
        "Label Studio": lambda: export_label_studio(
            masks, out / "studio.json", images=["image.jpg"]
        ),
    }  # fmt: skip


def seconds(call: Callable[[], object]) -> float:
    """Of the CPU's time."""
    times: list[float] = []
    while len(times) < 1 or (len(times) < 2 and times[0] < 1):
        times.append(stopwatch(call, clock=time.process_time)[0])
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="names of the steps to time")
    parser.add_argument("--largest", type=int, default=4, help="number of sizes to time")
    parser.add_argument("--large", action="store_true", help="2,000 instances at 24 megapixels")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.large:
            large(Path(folder), options.only)
            return
        sides, counts = SIDES[: options.largest], COUNTS[: options.largest]
        record = {
            "pixels": growth([((side, side), FEW) for side in sides], options.only, Path(folder)),
            "instances": growth(
                [((SIDE, SIDE), count) for count in counts], options.only, Path(folder)
            ),
        }
    pixels, instances = (np.log([side**2 for side in sides]), np.log(counts))
    rows = [
        (
            name,
            *(f"{took:.2f}" for took in record["pixels"][name]),
            f"{slope(pixels, record['pixels'][name]):.2f}",
            *(f"{took:.2f}" for took in record["instances"][name]),
            f"{slope(instances, record['instances'][name]):.2f}",
        )
        for name in record["pixels"]
    ]
    header = ("seconds of", *(f"{side} px" for side in sides), "exponent",
              *(f"{count} of them" for count in counts), "exponent")  # fmt: skip
    settings = {"machine": processor(), "sides": sides, "few": FEW, "counts": counts, "side": SIDE}
    publish({**settings, **record}, markdown(header, rows), options.json, None)


def growth(
    sizes: list[tuple[tuple[int, int], int]], only: list[str] | None, out: Path
) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {}
    for size, count in sizes:
        for name, work in works(size, count, out).items():
            if only is None or name in only:
                took.setdefault(name, []).append(seconds(work))
    return took


def slope(sizes: np.ndarray, times: list[float]) -> float:
    return float(np.polyfit(sizes, np.log(np.maximum(times, 1e-4)), 1)[0])


def large(folder: Path, only: list[str] | None) -> None:
    """What each command takes, from its start to its end."""
    commands = prepared(folder, *LARGE)
    header = (f"{LARGE[1]} at {LARGE[0][0]} x {LARGE[0][1]} px", "s", "peak, GiB")
    rows = []
    for name, words in commands.items():
        if only is None or name in only:
            command = [sys.executable, "-m", "trace_edges", *map(str, words), "--quiet"]
            process = subprocess.Popen(command)
            _, code, used = os.wait4(process.pid, 0)  # what this one used, and no other
            if code:
                sys.exit(f"{name} failed")
            took, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
            rows.append((f"`{name}`", f"{took:.1f}", f"{peak:.2f}"))
            print(*rows[-1], flush=True)
    print(markdown(header, rows))


def prepared(folder: Path, size: tuple[int, int], count: int) -> dict[str, list[object]]:
    """The commands, by name, with the files that they read; masks to refine hold two cells each."""
    labels = cells(size, count)
    edges, photos, classes = (folder / name for name in ("edges", "photos", "classes"))
    write_edge_map(boundaries_from_labels(labels).astype(np.float32), edges / "a.png", "png")
    photos.mkdir()
    Image.fromarray(np.zeros((*size, 3), dtype=np.uint8)).save(photos / "a.png")
    write_label_png((1 + labels % 4).astype(np.int32), classes / "a.png")
    write_label_png(labels, folder / "labels" / "a.png")
    export_coco({"a.png": InstanceMasks.from_labels((labels + 1) // 2)}, folder / "masks.json")
    found = folder / "found"
    return {
        "segment": ["segment", photos, "--edges", edges, "--out", found],
        "refine": ["refine", folder / "masks.json", edges, "--out", folder / "refined.json"],
        "refine, label maps": ["refine", folder / "labels", edges, "--out", folder / "refined"],
        "panoptic": ["panoptic", classes, edges, "--things", "1,2,3", "--stuff", "4",
                     "--out", folder / "panoptic"],
        "export": ["export", found, "--to", "coco", "--out", folder / "coco"],
        "export, YOLO": ["export", found, "--to", "yolo", "--out", folder / "yolo"],
        "export, CVAT": ["export", found, "--to", "cvat", "--out", folder / "cvat"],
        "export, COCO panoptic": ["export", folder / "panoptic", "--to", "coco-panoptic",
                                  "--out", folder / "coco_panoptic"],
    }  # fmt: skip


if __name__ == "__main__":
    guarded(main)
