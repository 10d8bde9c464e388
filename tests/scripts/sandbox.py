"""A folder in which the commands of the documents can be typed: what they name is there, but tiny.

Placeholders stand for the small files that are made here. `SMALLER` says which numbers of a command
are made smaller before it runs, and `ONLY_PARSED` which commands do not run, and why.
"""

from __future__ import annotations

import importlib
import json
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import pytest
from accelerate.state import AcceleratorState
from PIL import Image
from scipy.io import savemat
from typer.main import get_command
from typer.testing import CliRunner

from tests.scripts.pages import ROOT
from trace_edges.cli import app
from trace_edges.formats import export_coco_results
from trace_edges.results import InstanceMasks

# --- Commands ------------------------------------------------------------------------------------

# (commands, what is replaced, by what): the numbers of the documents take minutes to days.
SMALLER = (
    (".", r"\bPANOPTIC_JSON\b", "annotations/panoptic_val2017.json"),
    (".", r"\bFOLDER_OR_NPZ\b", "sprites.npz"),
    ("trace-edges evaluate (edges|panoptic)", r"$", " --workers 1"),
    ("trace-edges evaluate edges|benchmarks.edges.halves", r"$", " --thresholds 9"),
    ("trace-edges distill", r"(--label-resolution) \d+", r"\1 64"),
    ("trace-edges distill", r"$", " --hold-out 3"),
    ("trace-edges distill", r"--steps \d+", "--steps 2"),
    ("^echo", r'("steps"|"batch_size"): \d+', r"\1: 2"),
    ("^echo", r'(?<=\{)(?="student"(?!.*"crop"))',
     '"resolution": 64, "crop": 64, "batch_size": 2, '),
    ("^echo", r'("crop"|resolution"): \d+', r"\1: 64"),
    (r"^echo.*96, 128, 128\]", r'("crop"|resolution"): \d+', r"\1: 128"),  # cells of 64 px
    ("explain --prompt", r"$", " --height 64 --width 64 --steps 2"),
    ("trace-edges (report|export) DEST", r"DEST", "coco"),  # where annotate.md wrote instances
    ("trace-edges annotate", r"0000\.\.0127", "0000..0001"),
    ("recipes.trace_mini composites", r"--n \d+", "--n 2"),
    ("recipes.trace_mini composites", r"--(height|width) \d+", r"--\1 96"),
    ("recipes.trace_mini pretrain", r"--config gpu", ""),
    ("recipes.trace_mini pretrain", r"$", " --autoencoder-steps 2 --steps 2 --batch-size 1"
                                          " --scenes 2 --check-scenes 2"),
    ("benchmarks.speed.stages", r"256 384 512 --repeats 2", "64 --repeats 1"),
    ("benchmarks.speed.annotate", r"$", " --resolution 64"),
    ("benchmarks.speed.capture", r"$", " --resolutions 64 --repeats 1"),
    ("benchmarks.edges.distillation", r"--limit 90 --steps 150", "--limit 4 --steps 2"
                                      " --rows canny 'attention and blocks'"),
    ("benchmarks.edges.pixels", r"--limit 90 --steps 150", "--limit 4 --steps 2"
                                " --rows 'no pasting' 'side outputs at every scale'"),
    ("benchmarks.edges.labels", r"--limit 18 --steps 150", "--limit 4 --steps 2"
                                " --rows 'globalised: with eigenvectors of the attention'"),
    ("benchmarks.masks.growth", r"$", " --only panoptic --largest 2"),
    ("train_mask2former", r"facebook/\S+", "tiny"),
    ("train_mask", r"$", " --steps 1 --batch 1 --size 64"),
    ("train_mask_rcnn", r"$", " --backbone resnet18 --regions 8"),
    (".", r"--workers \d+", "--workers 0"),
    ("benchmarks", r"--workers 0", "--workers 1"),
    (".", r"--device cuda", "--device cpu"),
)  # fmt: skip

# What a command holds that is only parsed, and why it does not run.
ONLY_PARSED = {
    r"benchmarks\.speed$": "minutes; tests/benchmarks/test_stages.py has the largest part",
    r" \.\.\.$|SOURCE DEST": "the reader puts in arguments of their own",
    r"s3://": "a bucket; tests/jobs/test_s3.py has one",
    r"hf://": "a data set on the hub",
    r"--engine ray|SLURM": "a cluster; tests/jobs/test_copies_ray.py runs Ray on this machine",
    r"accelerate launch": "several GPUs",
    r"--quantize": "a GPU",
    r"trace-edges explore": "a page that stays open; tests/explore looks at it in a browser",
    r"growth --large": "a minute and gigabytes; tests/benchmarks/test_growth.py",
    r"benchmarks\.gpu_day": "minutes; tests/benchmarks/test_gpu_day.py runs it",
    r"benchmarks\.masks\.week": "minutes; tests/benchmarks/test_week.py runs it, smaller",
    r"benchmarks\.kills": "an hour; tests/benchmarks/test_kills.py",
    r"benchmarks\.speed\.(full_size|backbone_memory|training_memory)": "models of full size",
    r"benchmarks\.speed\.kernels": "minutes of Triton's compiler",
    r"tests\.corpus": "minutes; tests/corpus runs a share of it",
}

# Programs that are not this project's, or that set up the shell.
OTHERS = ("cd", ".", "pre-commit", "python3")


def smaller(line: str) -> str:
    """The command, with its numbers made smaller."""
    for where, what, other in SMALLER:
        if re.search(where, line):
            line = re.sub(what, other, line, count=1) if "$" in what else re.sub(what, other, line)
    return line


def only_parsed(line: str) -> bool:
    """Whether a command does not run here."""
    return any(re.search(part, line) for part in ONLY_PARSED)


def type_in(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what a shell does with a line of a page; fail if it ends with anything but 0."""
    for part in line.split(" && "):
        while found := re.match(r"([A-Z_]+)=(\S*) ", part):
            monkeypatch.setenv(*found.groups())
            part = part[found.end() :]
        program, *arguments = shlex.split(smaller(part))
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text("utf-8"), re.M)
        elif program == "pip":
            _extras_are_there(arguments)
        elif program == "echo":
            text, arrow, file = arguments
            assert arrow == ">"
            Path(file).write_text(text, encoding="utf-8")
        elif only_parsed(part) or ("mask_rcnn" in part and find_spec("torchvision") is None):
            parse(part)
        elif program == "trace-edges":
            ended = CliRunner().invoke(app, arguments)
            assert ended.exit_code == 0, f"{part}: {ended.output}"
            stale = "--overwrite makes it again" in ended.output  # of another command of the page
            assert not stale, f"{part}: {ended.output}"
        elif program == "python":
            _run_python(arguments, monkeypatch)
        else:
            assert program in OTHERS, f"{part}: say in ONLY_PARSED why it does not run"


def _extras_are_there(arguments: list[str]) -> None:
    """`pip install "trace-edges[one,two]"` names extras of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for found in re.findall(r"(?:trace-edges|\.)\[(.*?)\]", " ".join(arguments)):
        assert set(found.split(",")) <= project["optional-dependencies"].keys()


def named(line: str) -> None:
    """Fail unless there is a command or module of this name; what follows it is not looked at."""
    program, *words = shlex.split(line)
    if program == "python" and words[0] != "-m":
        assert (ROOT / words[0]).is_file(), f"there is no {words[0]}"
    elif program == "python":
        assert find_spec(words[1]) is not None, f"there is no module {words[1]}"
    elif program == "trace-edges":
        _command(words)


def _command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command of these words, and what follows it."""
    command, rest = get_command(app), list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"there is no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    return command, rest


def parse(line: str) -> None:
    """Fail unless the command of this line has these options, or the module is there."""
    named(line)
    program, *words = shlex.split(line)
    if program == "trace-edges" and "SOURCE" not in words:
        command, rest = _command(words)
        command.make_context("trace-edges", [re.sub(r"\$\w+", "1", word) for word in rest]).close()


def _run_python(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m MODULE ...` and `python FILE ...`, in this process."""
    if words[0] != "-m":
        script = ROOT / words[0]
        monkeypatch.setattr(sys, "argv", [str(script), *words[1:]])
        monkeypatch.syspath_prepend(script.parent)
        main = runpy.run_path(str(script))["main"]
    elif (name := words[1]) in ("venv", "http.server"):
        return
    else:
        monkeypatch.setattr(sys, "argv", [name, *words[2:]])
        is_package = find_spec(name).submodule_search_locations is not None
        module = importlib.import_module(f"{name}.__main__" if is_package else name)
        for constant, value in TINY_CONSTANTS.get(name, {}).items():
            monkeypatch.setattr(module, constant, value)
        main = module.app if hasattr(module, "app") else module.main
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)  # as in a process of its own
    assert not code, f"{' '.join(words)}: {code}"


# Constants of benchmarks, which have no option for what they are about.
TINY_CONSTANTS = {
    "benchmarks.masks.growth": {"SIDES": (64, 96), "COUNTS": (16, 32), "SIDE": 96},
    "benchmarks.speed.edge_matching": {"SHAPE": (48, 64)},
}

# --- Data ----------------------------------------------------------------------------------------

HEIGHT, WIDTH, PERSON = 72, 96, 15  # VOC's class of people, and a thing of COCO
NAMES = ("000000000001", "000000000002", "000000000003", "000000000004")
FOLDERS = ("IMAGES", "SOME", "PHOTOGRAPHS", "FOLDER", "photographs", "photos", "val2017",
           "train2017", "VOC2012/JPEGImages")  # fmt: skip


def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    """An image (h, w, 3) of two touching squares, and which pixel is of which, 1 or 2."""
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    top, left = 8 + 2 * number, 16 + 4 * number
    labels[top : top + 32, left : left + 24] = 1
    labels[top : top + 32, left + 24 : left + 48] = 2
    noise = np.random.default_rng(number).integers(0, 24, (HEIGHT, WIDTH, 3))
    return (np.array([40, 130, 220])[labels][..., None] + noise).astype(np.uint8), labels


def furnish(folder: Path) -> None:
    """Lay down what the commands of the documents name."""
    pictures = {name: drawn(number) for number, name in enumerate(NAMES)}
    some = pictures[NAMES[0]]
    for place in FOLDERS:
        for name, (image, _) in pictures.items():
            save(image, folder / place / f"{name}.jpg")
    for file in ("photo.jpg", "a.jpg", "b.jpg", "street.jpg", "examples/coins.png",
                 "examples/coffee.jpg", "examples/cat.jpg", "photos/2024-1.jpg",
                 "photos/below/c.jpg"):  # fmt: skip
        save(some[0], folder / file)
    for name, (_, labels) in {**pictures, "2024-1": some}.items():
        people = PERSON * (labels > 0).astype(np.uint8)
        for place in ("classes", "maps", *(["semantic"] if name in NAMES else [])):
            save(people, folder / place / f"{name}.png")
        lines = 255 * borders(labels).astype(np.uint8)
        for place in ("maps/hed", "maps/trace", "DIR"):
            save(lines, folder / place / f"{name}.png")
        write_bsds(labels, folder / "BSDS500/data/groundTruth/test" / f"{name}.mat")
    save(np.full((HEIGHT, WIDTH), PERSON, np.uint8), folder / "maps/below/c.png")
    coco = coco_of(pictures)
    for file in ("masks.json", "instances.json", "corrected.json", "prelabels.json"):
        write_json(coco, folder / file)
    masks = {name: InstanceMasks.from_labels(labels) for name, (_, labels) in pictures.items()}
    export_coco_results(masks, folder / "results.json")
    for file in ("annotations/panoptic_val2017.json", "panoptic_val2017.json", "predicted.json"):
        write_panoptic(pictures, folder / file)
    for name, (_, labels) in pictures.items():
        objects = Image.fromarray(labels.astype(np.uint8), "P")
        objects.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
        (folder / "VOC2012/SegmentationObject").mkdir(parents=True, exist_ok=True)
        objects.save(folder / "VOC2012/SegmentationObject" / f"{name}.png")
    listed = folder / "VOC2012/ImageSets/Segmentation/val.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(f"{name}\n" for name in NAMES), encoding="utf-8")
    write_shards(folder)
    write_sprites(folder)
    write_plans(folder)
    write_irn(folder)


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_json(content: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def borders(labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pixel to the right, or below, is another's."""
    found = np.zeros(labels.shape, bool)
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    found[:-1] |= labels[:-1] != labels[1:]
    return found


def box_of(mask: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(mask)
    return [int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]


def images_of(pictures: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"id": number, "file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH}
            for number, name in enumerate(pictures, 1)]  # fmt: skip


def coco_of(pictures: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, object]:
    """Instances as COCO has them, with polygons."""
    annotations = []
    for number, (_, labels) in enumerate(pictures.values(), 1):
        for k in (1, 2):
            x, y, w, h = box_of(labels == k)
            outline = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                 "area": w * h, "bbox": [x, y, w, h], "segmentation": [outline]}
            )  # fmt: skip
    return {"images": images_of(pictures), "annotations": annotations,
            "categories": [{"id": 1, "name": "person"}]}  # fmt: skip


def write_panoptic(pictures: Mapping[str, tuple[np.ndarray, np.ndarray]], file: Path) -> None:
    """A panoptic JSON, and the folder of PNGs beside it."""
    annotations = []
    for number, (name, (_, labels)) in enumerate(pictures.items(), 1):
        ids = np.array([7, 1, 2])[labels]
        save(np.stack([ids, 0 * ids, 0 * ids], -1).astype(np.uint8),
             file.with_suffix("") / f"{name}.png")  # fmt: skip
        segments = [
            {"id": one, "category_id": kind, "iscrowd": 0, "bbox": box_of(ids == one),
             "area": int((ids == one).sum())}
            for one, kind in ((7, 100), (1, PERSON), (2, PERSON))
        ]  # fmt: skip
        annotations.append(
            {"image_id": number, "file_name": f"{name}.png", "segments_info": segments}
        )
    categories = [{"id": PERSON, "name": "bench", "isthing": 1, "supercategory": "thing"},
                  {"id": 100, "name": "cardboard", "isthing": 0,
                   "supercategory": "stuff"}]  # fmt: skip
    write_json(
        {"images": images_of(pictures), "annotations": annotations, "categories": categories}, file
    )


def write_bsds(labels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing = {"Segmentation": 1 + labels.astype(np.uint16), "Boundaries": borders(labels)}
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = drawing
    savemat(path, {"groundTruth": cell})


def write_shards(folder: Path) -> None:
    """Two tars of WebDataset."""
    import tarfile

    (folder / "shards").mkdir()
    for number, name in enumerate(NAMES[:2]):
        with tarfile.open(folder / "shards" / f"{number:04}.tar", "w") as tar:
            tar.add(folder / "photos" / f"{name}.jpg", f"{name}.jpg")


def write_sprites(folder: Path) -> None:
    """Discs of 96 px in an archive and in a folder, and the rows that are held out."""
    rows, columns = np.mgrid[:96, :96]
    disc = np.zeros((8, 96, 96, 4), np.uint8)
    disc[:, (rows - 48) ** 2 + (columns - 48) ** 2 < 40**2] = 255
    disc[..., 0] = 30 * np.arange(8)[:, None, None]
    np.savez(folder / "sprites.npz", x=disc, n=np.arange(8))
    for number, sprite in enumerate(disc):
        save(sprite, folder / "SPRITES" / f"{number}.png")
    for name in ("sprites_heldout.npy", "rows.npy"):
        np.save(folder / name, np.arange(4))


def write_plans(folder: Path) -> None:
    """The plans of benchmarks/ablation, of the images of `furnish`, at 64 px, with fewer steps."""
    for plan in (ROOT / "benchmarks/ablation").glob("*.yaml"):
        text = plan.read_text(encoding="utf-8")
        text = "photographs: {every: 2}\n" + re.sub(r"photographs: .*", "", text)
        text = re.sub(r"thresholds: \d+", "thresholds: 5", text)
        text = re.sub(r"\b(192|256|320|384|512)\b", "64", text)
        text = re.sub(r"\[64, 64(, 64)*\]", "[64]", text)
        text = re.sub(r"timestep: \[(\d+)[^\]]*\]", r"timestep: [\1]", text)
        place = folder / "benchmarks/ablation" / plan.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def write_irn(folder: Path) -> None:
    """A dictionary as IRN pickles it."""
    (folder / "irn").mkdir()
    held = {"keys": np.array([14]), "high_res": np.full((1, HEIGHT, WIDTH), 0.5, np.float32)}
    np.save(folder / "irn" / f"{NAMES[0]}.npy", held, allow_pickle=True)


def smaller_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configs of `distill` by their names, with sizes and steps of a test."""
    from benchmarks.edges import distillation
    from trace_edges.distillation import settings

    def little(config: settings.DistillationSettings) -> settings.DistillationSettings:
        return replace(config, resolution=64, detect_resolution=64, crop=64, batch_size=1,
                       steps=2, validate_every=2, save_every=2, dtype="float32")  # fmt: skip

    for name, config in list(settings.CONFIGS.items()):
        monkeypatch.setitem(settings.CONFIGS, name, little(config))
    monkeypatch.setattr(distillation, "BASE", little(distillation.BASE))


def smaller_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model sees every image at 64 px, whatever the page says."""
    from trace_edges.detector.detector import EdgeDetector
    from trace_edges.sources import Preparation
    from trace_edges.training_free.pipeline import TraceEdgePipeline

    def preparation(self: EdgeDetector, settings: object) -> Preparation:
        return Preparation(64, self.student.cell, shrink=True)

    monkeypatch.setattr(EdgeDetector, "preparation", preparation)
    monkeypatch.setattr(TraceEdgePipeline, "_resolutions", lambda self, settings: (64, 64))


# Names that the Python of a page uses before it has made them: what the reader has.
def names_of_the_reader() -> dict[str, object]:
    """The masks, maps and edges of a reader."""
    import torch

    import trace_edges as te

    _, labels = drawn(0)
    return {
        "te": te, "torch": torch, "masks": InstanceMasks.from_labels(labels),
        "semantic": (labels > 0).astype(np.uint8), "label_map": labels,
        "edges": borders(labels).astype(np.float32),
    }  # fmt: skip
