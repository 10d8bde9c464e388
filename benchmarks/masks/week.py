"""An annotation team's week: candidates, files for the tools, corrections, what they are worth.

    python -m benchmarks.masks.week OUT --photographs IMAGES PANOPTIC_JSON 50

Each step is the command that a user gives, with its seconds. The first NUMBER photographs and the
composites, of a few large ones of the 24 embedded sprites, get candidates (`annotate`), which go to
CVAT, Label Studio and YOLO (`export`). The true masks stand for what a person makes of them:
`evaluate masks --against` counts the clicks, and `report` draws the page. A small Mask R-CNN
(`small_mask_rcnn.py`) is trained from the same start and for the same steps on the candidates, on
the corrections and, as a control, on corrections that lie on another image of the same size. All
are judged on other composites of the same sprites, and so are the candidates themselves. With
--steps 0 nothing is trained. OUT gets all files, and week.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._shared.reports import guarded, write_json
from trace_edges.formats.coco import export_coco
from trace_edges.formats.exchange import open_masks
from trace_edges.formats.labelled import Labelled, photographs_in
from trace_edges.outputs import Outputs
from trace_edges.results import InstanceMasks

FIND = ("--find", "candidates", "--ground", "remove", "--min-score", 0.05)
TOOLS = ("cvat", "label-studio", "yolo")


def main() -> None:
    """Run the week, print what it cost, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photographs", nargs=3, metavar=("IMAGES", "PANOPTIC_JSON", "NUMBER"))
    parser.add_argument("--composites", type=int, default=200)
    parser.add_argument("--held-out", type=int, default=50, help="composites to be judged on")
    parser.add_argument("--side", type=int, default=192, help="of composites, px")
    parser.add_argument("--steps", type=int, default=100, help="of training, 4 images each")
    parser.add_argument("--size", type=int, default=128, help="px at which the network sees them")
    options = parser.parse_args()
    out, size, seconds = options.out, options.size, {}
    Outputs("masks week").check_folder(out / "images")

    def step(name: str, *command: object) -> str:
        begun = time.perf_counter()
        words = [sys.executable, *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr.strip()}")
        seconds[name] = round(time.perf_counter() - begun, 1)
        return done.stdout

    def command(name: str, *words: object) -> str:
        return step(name, "-m", "trace_edges", *words)

    for name, number, seed in (("made", options.composites, 0), ("held", options.held_out, 1)):
        step(name, "-m", "recipes.trace_mini", "composites", "--out", out / name, "--n", number,
             "--seed", seed, "--height", options.side, "--width", options.side, "--smallest", 0.2,
             "--most", 5, "--quiet")  # fmt: skip
    sources = [("c", out / "made" / "images", out / "made" / "panoptic.json", options.composites)]
    if options.photographs:
        images, panoptic, number = options.photographs
        sources.append(("p", Path(images), Path(panoptic), int(number)))
    truth: dict[str, InstanceMasks] = {}
    files: dict[str, str] = {}
    (out / "images").mkdir(parents=True, exist_ok=True)
    for prefix, *source in sources:
        for path, masks in true_masks(*source):
            name = f"{prefix}{path.stem}"
            truth[name], files[name] = masks, f"{prefix}{path.name}"
            shutil.copy(path, out / "images" / files[name])
    corrected, shuffled, results = out / "corrected.json", out / "shuffled.json", out / "results"
    export_coco(truth, corrected, file_names=files)
    export_coco(of_others(truth), shuffled, file_names=files)
    told = command("annotate", "annotate", out / "images", results, "--task", "instances",
                   "--to", "coco", "--json", *FIND, "--workers", 0)  # fmt: skip
    for tool in TOOLS:
        command(tool, "export", results, "--to", tool, "--out", out / tool,
                "--images", out / "images", "--quiet")  # fmt: skip
    found = results / "instances.json"
    compared = command("correction", "evaluate", "masks", found, "--against", corrected,
                       "--suggestions", "--json")  # fmt: skip
    command("report", "report", results, "--images", out / "images", "--out", out / "report.html")
    record: dict[str, Any] = {
        "annotate": json.loads(told.splitlines()[-1]), "correction": json.loads(compared)
    }  # fmt: skip
    held = out / "held"
    command("candidates of held", "annotate", held / "images", out / "untrained", "--task",
            "instances", "--to", "coco", *FIND, "--workers", 0)  # fmt: skip
    judged = {"candidates, untrained": out / "untrained" / "instances.json"}
    for name, masks in ("candidates", found), ("corrections", corrected), ("shuffled", shuffled):
        if options.steps:
            judged[f"trained on {name}"] = out / f"found-{name}.json"
            step(f"training on {name}", "-m", "benchmarks.masks.small_mask_rcnn", masks,
                 out / "images", held / "images", "--out", judged[f"trained on {name}"],
                 "--size", size, "--steps", options.steps)  # fmt: skip
    for name, masks in judged.items():
        told = command(f"judging {name}", "evaluate", "masks", masks, held / "instances.json",
                       "--json")  # fmt: skip
        record[name] = json.loads(told)
    write_json(record | {"seconds": seconds}, out / "week.json", indent=1)
    found = record["correction"]
    print(f"{found['images']} images, {found['corrected']} things, {found['prelabels']} candidates:"
          f" {found['clicks']} clicks of {found['clicks_from_nothing']} from nothing, "
          f"{found['clicks_saved']:.0%} saved")  # fmt: skip
    for name in judged:
        scores = record[name]
        print(f"{name}: AP {100 * scores['ap']:.2f}, AP50 {100 * scores['ap50']:.2f}, "
              f"AR@100 {100 * scores['ar100']:.1f}")  # fmt: skip
    print(", ".join(f"{name} {taken:g} s" for name, taken in seconds.items()))


def true_masks(images: Path, panoptic: Path, count: int) -> Iterator[tuple[Path, InstanceMasks]]:
    """The first images of a panoptic JSON and their true things, crowds aside."""
    paths = photographs_in(images)
    labelled = [one for one in open_masks(panoptic).images if isinstance(one, Labelled)]
    for one in sorted((one for one in labelled if one.name in paths), key=lambda one: one.name):
        if count > 0:
            things = [mark.category.thing and not mark.crowd for mark in one.marks]
            yield paths[one.name], one.only(things).masks
        count -= 1


def of_others(truth: dict[str, InstanceMasks]) -> dict[str, InstanceMasks]:
    """To each image the masks of the next one of its size, and of the last those of the first."""
    by_shape: dict[tuple[int, int], list[str]] = {}
    for name, masks in truth.items():
        by_shape.setdefault(masks.shape, []).append(name)
    turns = ((names, names[1:] + names[:1]) for names in by_shape.values() if len(names) > 1)
    return {name: truth[other] for names, turned in turns
            for name, other in zip(names, turned, strict=True)}  # fmt: skip


if __name__ == "__main__":
    guarded(main)
