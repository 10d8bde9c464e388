"""Ablation of the student: its labels, what its decoder reads, and the model behind both.

    python -m benchmarks.edges.distillation PHOTOGRAPHS IMAGES PANOPTIC_JSON --labels DIR --out OUT

Every row trains a decoder on the same PHOTOGRAPHS for the same steps and scores it on IMAGES, the
odd half and the even half apart. Features are computed once and kept in OUT, rows that are there
are not made again, several processes may share the work, and the last one writes table.md. Two
rows are controls: in "shuffled labels" each photograph gets the lines of another one, moved onto
its own contours, and in "picture only" the decoder is shown nothing of the model.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

import trace_edges as te
from benchmarks._shared.reports import guarded, markdown, write_json, write_text
from trace_edges.detector import Student, StudentSettings
from trace_edges.detector.drawing import draw_probabilities
from trace_edges.distillation import CONFIGS, LabelSettings
from trace_edges.distillation.examples import Example
from trace_edges.distillation.fitting import fit_student
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.labels import Labels
from trace_edges.distillation.teachers import TrainingFreeTeacher, student_labels
from trace_edges.evaluation.edges import edge_truth
from trace_edges.evaluation.peers import PEERS
from trace_edges.files import find_images, write_atomically
from trace_edges.formats import open_ground_truth
from trace_edges.images import load_image, model_size, resize_image, to_tensor
from trace_edges.metrics import EdgeProtocol, evaluate_edges
from trace_edges.metrics.counts import cldice

BLOCKS = (2, 5, 8, 10, 12, 13)  # of trace-mini
BASE = replace(CONFIGS["cpu"], student=StudentSettings(blocks=BLOCKS), edge_loss="entropy")
WITH_ATTENTION = replace(BASE.student, attention=3)  # all that some row's decoder reads
REST = 32  # channels of latent and output
LATE = 99  # t* of trace-mini
PROTOCOL = EdgeProtocol(thresholds=25)
DECODER = "decoder.safetensors"


@dataclass(frozen=True)
class Row:
    """Training of one decoder, or a detector that needs none.

    Attributes:
        labels, loss: see DistillationSettings.
        blocks: positions in BASE.student.blocks that the decoder reads, beside latent and output.
        late: it reads the last block at t* = 99 as well, and not at t = 0 alone.
        attention: it reads the aggregated self-attention as well.
        shuffled: labels are made of another photograph's divergence.
        blind: the decoder is shown the image only.
        teacher: a row whose student makes the labels instead of the training-free method.
        peer: the name of a detector that is not trained.
    """

    labels: LabelSettings = field(default_factory=LabelSettings)
    loss: str = "entropy"
    blocks: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    late: bool = False
    attention: bool = False
    shuffled: bool = False
    blind: bool = False
    teacher: str = ""
    peer: str = ""


ROWS = {
    "canny": Row(peer="canny"),
    "felzenszwalb": Row(peer="felzenszwalb"),
    "six blocks": Row(),
    "lines stay": Row(LabelSettings(snap=0, sigma=2.0)),
    "literal, dice": Row(LabelSettings(rule="literal"), loss="dice"),
    "log, dice": Row(LabelSettings(rule="log"), loss="dice"),
    "six blocks, dice": Row(loss="dice"),
    "no block": Row(blocks=()),
    "last block": Row(blocks=(5,)),
    "last block, dice": Row(blocks=(5,), loss="dice"),  # what CONFIGS["cpu"] trains
    "last block at t = 0 and t*": Row(blocks=(5,), late=True),
    "three blocks": Row(blocks=(1, 3, 5)),
    "attention": Row(blocks=(), attention=True),
    "attention, dice": Row(blocks=(), attention=True, loss="dice"),
    "attention and blocks": Row(attention=True),
    "picture only": Row(blind=True, blocks=()),
    "shuffled labels": Row(shuffled=True),
    "second round": Row(teacher="six blocks"),
}


@dataclass(frozen=True)
class Photograph:
    """An image as the student reads it, and the model's features of it."""

    path: Path
    image: np.ndarray  # (H, W, 3)
    features: torch.Tensor  # (C, h, w) float16


def main() -> None:
    """Train and score the rows that are missing; write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs")
    parser.add_argument("images")
    parser.add_argument("truth", type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--limit", type=int, help="number of photographs to train on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipe = te.TraceEdgePipeline.from_pretrained()
    student = Student(pipe.backbone, WITH_ATTENTION)
    cache = LabelCache(options.labels, TrainingFreeTeacher(pipe, BASE.teacher))
    kept = options.out / f"features_t0_t{LATE}"
    paths = find_images([options.photographs]).images[: options.limit]
    learn = read_all(paths, student, kept)
    scored = read_all(find_images([options.images]).images, student, kept)
    source = open_ground_truth(options.truth)
    truth = {p.path.stem: edge_truth(source[p.path.stem](), PROTOCOL) for p in scored}
    for name in options.rows:
        record = options.out / f"{name}.json"
        if record.exists():
            continue
        row = ROWS[name]
        drawn = (
            {p.path.stem: PEERS[row.peer](load_image(p.path)) for p in scored}
            if row.peer
            else trained(name, row, learn, scored, pipe, cache, options)
        )
        scores = {half: score(drawn, truth, start) for half, start in (("odd", 0), ("even", 1))}
        write_json(scores, record)
        print(name, scores, flush=True)
    write_table(options.out, ROWS)


def read_all(paths: Sequence[Path], student: Student, folder: Path) -> list[Photograph]:
    """In an order of this process's own first, so that several share the work."""
    for index in np.random.default_rng(os.getpid()).permutation(len(paths)):
        read(paths[index], student, folder)
    return [read(path, student, folder) for path in paths]


@torch.no_grad()
def read(path: Path, student: Student, folder: Path) -> Photograph:
    """Features of a photograph, computed once."""
    image = load_image(path)
    size = model_size(*image.shape[:2], BASE.resolution, student.backbone.cell)
    image = resize_image(image, size)
    kept = folder / f"{blake2b(path.read_bytes(), digest_size=12).hexdigest()}.npy"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with write_atomically(kept) as temporary, temporary.open("wb") as file:
            np.save(file, features_of(image, student)[0].half().numpy())
    return Photograph(path, image, torch.from_numpy(np.load(kept, mmap_mode="c")))


def features_of(image: np.ndarray, student: Student) -> torch.Tensor:
    """(1, C, h, w): all that some row's decoder reads, and before it the last block at t*."""
    images, backbone = to_tensor(image)[None], student.backbone
    latents = backbone.encode(images)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    noised = backbone.schedule.noised(latents, noise, LATE)
    late, _ = backbone.hidden_states(noised, LATE, student.blocks[-1:])
    return torch.cat([*late, student.features(images)[0]], dim=1)


def trained(
    name: str,
    row: Row,
    learn: Sequence[Photograph],
    scored: Sequence[Photograph],
    pipe: te.TraceEdgePipeline,
    cache: LabelCache,
    options: argparse.Namespace,
) -> dict[str, np.ndarray]:
    """Thin edges of the scored photographs, by a student of this row."""
    blocks = tuple(BASE.student.blocks[position] for position in row.blocks)
    blocks += BASE.student.blocks[-1:] * row.late  # it has the same channels at every timestep
    reach = WITH_ATTENTION.attention * row.attention
    settings = replace(
        BASE, student=replace(WITH_ATTENTION, blocks=blocks, attention=reach),
        labels=row.labels, edge_loss=row.loss, steps=options.steps,
    )  # fmt: skip
    student = Student(pipe.backbone, settings.student)
    others = np.roll(np.arange(len(learn)), 1) if row.shuffled else np.arange(len(learn))
    teacher = load_student(options.out / row.teacher, pipe) if row.teacher else None
    examples = []
    for photograph, other in zip(learn, others, strict=True):
        if teacher is None:
            labels = cache.labels(learn[other].path, photograph.image, row.labels)
        else:
            labels = labels_of_student(teacher, photograph, row.labels)
        examples.append(Example(photograph.image, labels, chosen(photograph, row)))
    student = fit_student(
        [e for i, e in enumerate(examples) if i % 10], examples[::10], student,
        options.out / name, settings, json.dumps({"row": name}), Accelerator(cpu=True),
    )  # fmt: skip
    drawn = {}
    for photograph in scored:
        edges = probabilities(student, photograph, row)
        height, width, _ = load_image(photograph.path).shape
        edges, ridges = draw_probabilities(edges, (height, width))
        drawn[photograph.path.stem] = np.where(ridges, edges, 0)
    save_file(student.decoder.state_dict(), options.out / name / DECODER)
    return drawn


def chosen(photograph: Photograph, row: Row) -> torch.Tensor:
    """The features that this row's decoder reads."""
    whole, blocks = photograph.features, len(WITH_ATTENTION.blocks)
    window = (2 * WITH_ATTENTION.attention + 1) ** 2
    hidden, attention, rest = whole.split([len(whole) - window - REST, window, REST])
    late, *states = hidden.chunk(blocks + 1)
    parts = [states[position] for position in row.blocks] + [late] * row.late
    parts += [attention] * row.attention
    features = torch.cat([*parts, rest])
    return torch.zeros_like(features) if row.blind else features


@torch.inference_mode()
def probabilities(student: Student, photograph: Photograph, row: Row) -> np.ndarray:
    """(H, W) in [0, 1]."""
    features = chosen(photograph, row)[None].float()
    logits, _ = student(to_tensor(photograph.image)[None], features)
    return logits[0].sigmoid().numpy()


def load_student(folder: Path, pipe: te.TraceEdgePipeline) -> Student:
    """That a row before this one has trained."""
    student = Student(pipe.backbone, BASE.student)
    student.decoder.load_state_dict(load_file(folder / DECODER))
    return student.eval()


def labels_of_student(student: Student, photograph: Photograph, settings: LabelSettings) -> Labels:
    """Of the student of an earlier row, without another pass of the denoiser."""
    drawn = probabilities(student, photograph, ROWS["six blocks"])
    return student_labels([drawn], photograph.image, settings)


def score(drawn: dict[str, np.ndarray], truth: dict, start: int) -> dict[str, float]:
    """Of every other image by name."""
    names = sorted(drawn)[start::2]
    found = evaluate_edges(
        {n: drawn[n] for n in names}, {n: truth[n] for n in names}, protocol=PROTOCOL
    )
    cut = found.ods_threshold
    lines = [cldice(drawn[n] >= cut, truth[n].annotations[0]) for n in names]
    values = {"ods": found.ods, "ois": found.ois, "ap": found.ap, "r50": found.r50}
    return values | {"cldice": float(np.mean(lines))}


def write_table(folder: Path, rows: Iterable[str]) -> None:
    """Those of these rows that are there: odd / even."""
    lines = []
    for name in rows:
        if (record := folder / f"{name}.json").exists():
            scores = json.loads(record.read_text(encoding="utf-8"))
            cells = [f"{scores['odd'][m]:.3f} / {scores['even'][m]:.3f}" for m in scores["odd"]]
            lines.append((name, *cells))
    header = ("row", "ODS", "OIS", "AP", "R50", "clDice")
    write_text(markdown(header, lines), folder / "table.md")


if __name__ == "__main__":
    guarded(main)
