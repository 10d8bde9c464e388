"""An annotation team's week: candidates, files for the tools, corrections, what they are worth.

    python -m benchmarks.masks.week OUT --photographs IMAGES PANOPTIC_JSON 50 --composites 40

Each step is the command that a user gives, with its seconds. The first NUMBER photographs and the
composites, made of the 24 embedded sprites, get candidates (`annotate`), which go to CVAT, Label
Studio and YOLO (`export`). The true masks stand for what a person makes of them: `evaluate masks
--against` counts the clicks, and `report` draws the page. A Mask R-CNN of torchvision is trained
from the same start on the candidates and on the corrections
(`scripts/reproduce/train_mask_rcnn.py`), and both are judged on other composites of the same
sprites. With --steps 0 nothing is trained. OUT gets all files, and week.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.reports import guarded, write_json
from trace_edges.formats.coco import export_coco, export_coco_results
from trace_edges.formats.exchange import open_masks
from trace_edges.formats.labelled import Labelled, photographs_in
from trace_edges.images import load_image
from trace_edges.outputs import Outputs
from trace_edges.results import InstanceMasks

SCRIPTS = Path(__file__).parents[2] / "scripts" / "reproduce"
FIND = ("--find", "candidates", "--ground", "remove", "--quality", "fast")
TOOLS = ("cvat", "label-studio", "yolo")


def main() -> None:
    """Run the week, print what it cost, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photographs", nargs=3, metavar=("IMAGES", "PANOPTIC_JSON", "NUMBER"))
    parser.add_argument("--composites", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=20, help="composites to be judged on")
    parser.add_argument("--side", type=int, default=192, help="of composites, px")
    parser.add_argument("--steps", type=int, default=120, help="of training, 4 images each")
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
             "--seed", seed, "--height", options.side, "--width", options.side,
             "--quiet")  # fmt: skip
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
    corrected, results = out / "corrected.json", out / "results"
    export_coco(truth, corrected, file_names=files)
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
    for name, masks in (("candidates", found), ("corrections", corrected)) if options.steps else ():
        step(f"training on {name}", SCRIPTS / "train_mask_rcnn.py", masks, out / "images",
             "--out", out / name, "--backbone", "resnet18", "--regions", 16, "--size", size,
             "--batch", 4, "--steps", options.steps, "--device", "cpu")  # fmt: skip
        predict(out / name / "checkpoint.pt", out / "held" / "images", size, out / f"{name}.json")
        told = command(f"judging {name}", "evaluate", "masks", out / f"{name}.json",
                       out / "held" / "instances.json", "--json")  # fmt: skip
        record[f"trained on {name}"] = json.loads(told)
    write_json(record | {"seconds": seconds}, out / "week.json", indent=1)
    found = record["correction"]
    print(f"{found['images']} images, {found['corrected']} things, {found['prelabels']} candidates:"
          f" {found['clicks']} clicks of {found['clicks_from_nothing']} from nothing, "
          f"{found['clicks_saved']:.0%} saved")  # fmt: skip
    for name in [name for name in record if name.startswith("trained")]:
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


def predict(checkpoint: Path, images: Path, size: int, out: Path) -> None:
    """What a trained network finds in the images of a folder, as COCO's results; their ids are
    those that composites have.
    """
    import torch

    sys.path.insert(0, str(SCRIPTS))
    model = import_module("train_mask_rcnn").mask_rcnn("resnet18", size, 16, None).eval()
    model.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["model"])
    found, ids = {}, {}
    for number, path in enumerate(sorted(photographs_in(images).values()), 1):
        pixels = torch.from_numpy(load_image(path)).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            (given,) = model([pixels])
        masks = given["masks"][:, 0].numpy() > 0.5
        seen = masks.any(axis=(1, 2))
        scores = np.clip(given["scores"].numpy()[seen], 0, 1)
        found[path.stem], ids[path.stem] = InstanceMasks(masks[seen], scores), number
    export_coco_results(found, out, image_ids=ids)


if __name__ == "__main__":
    guarded(main)
