"""Ablation of the student that reads the image alone: its data, labels, loss and shape.

    python -m benchmarks.edges.pixels PHOTOGRAPHS IMAGES PANOPTIC_JSON --labels DIR \
        --sprites SPRITES --out OUT

Every row trains as `distill --config pixels` does, but for the steps and for what its name says,
and is scored on IMAGES, the odd half and the even half apart. Rows that are there are not made
again, and the last one writes table.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

import trace_edges as te
from benchmarks._shared.reports import guarded, write_json
from benchmarks.edges.distillation import PROTOCOL, score, write_table
from trace_edges.detector.pixels import AnyStudent, PixelStudent
from trace_edges.detector.settings import StudentSettings
from trace_edges.distillation import CONFIGS
from trace_edges.distillation.examples import Batch, Example, read_example
from trace_edges.distillation.fitting import fit_student
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.labels import Labels, ridge_target
from trace_edges.distillation.losses import dice_loss, entropy_loss
from trace_edges.distillation.sprites import read_sprites
from trace_edges.distillation.teachers import Teacher, TrainingFreeTeacher
from trace_edges.evaluation.edges import edge_truth
from trace_edges.files import find_images
from trace_edges.formats import open_ground_truth
from trace_edges.instances.hierarchy import build_hierarchy, contours
from trace_edges.training import Stage, falling_cosine

BASE = CONFIGS["pixels"]
NEAR = 2  # px within which the tolerant loss takes an edge for found
PAIRS = 4096  # of a pixel on an edge and one off it, whose order the ranking loss looks at
SIDE = 0.3  # weight of each side output
CYCLES = 4  # of the learning rate, where it restarts
CLOSED = 0.1  # strength of the contours that stay where labels are closed

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


class SideStudent(PixelStudent):
    """It gives edges at every scale of its decoder, each of which is trained."""

    def __init__(self, settings: StudentSettings) -> None:
        super().__init__(settings)
        self.seen: list[Tensor] = []
        blocks: Sequence[Any] = list(self.decoder.mix)[:-1]
        channels = [block.inner[-1].out_channels for block in blocks]
        self.sides = nn.ModuleList([nn.Conv2d(channel, 1, 1) for channel in channels])
        for block in blocks:
            block.register_forward_hook(lambda _, __, x: self.seen.append(x))

    def forward(self, images: Tensor, features: None = None) -> tuple[Tensor, None]:
        """As `PixelStudent`; what the decoder computed on the way is in `seen`."""
        self.seen.clear()
        return super().forward(images)

    def side_outputs(self) -> list[Tensor]:
        """Edge logits (B, H, W) of the last images, one for each scale below that of the pixels."""
        finest = self.seen[-1].shape[-1] * 2
        return [
            F.interpolate(side(seen), scale_factor=finest / seen.shape[-1], mode="bilinear")[:, 0]
            for side, seen in zip(self.sides, self.seen, strict=True)
        ]


@dataclass(frozen=True)
class Row:
    """What differs from the detector of the package.

    Attributes:
        photographs, steps: share of them.
        settings: of the distillation.
        sprites: objects are pasted, and not pieces of photographs alone.
        labels: what is made of the labels of a photograph.
        loss: of the edges.
        rate: of learning, as its share by stage and step.
        student: its class.
    """

    photographs: float = 1
    steps: float = 1
    settings: Mapping[str, Any] = field(default_factory=dict)
    sprites: bool = True
    labels: Callable[[Labels], Labels] | None = None
    loss: Loss = dice_loss
    rate: Callable[[Stage, int], float] = falling_cosine
    student: type[PixelStudent] = PixelStudent


def no_labels(labels: Labels) -> Labels:
    """Photographs are said to have no edge: only what is pasted is learnt."""
    return Labels(np.zeros_like(labels.target), labels.counts)


def closed_labels(labels: Labels) -> Labels:
    """Only contours that close a region stay, each with one strength; spurs are gone."""
    lines = contours(build_hierarchy(labels.target))
    return Labels(
        ridge_target(np.where(lines >= CLOSED, lines, 0), BASE.labels.sigma), labels.counts
    )


def tolerant_loss(logits: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """1 - F, where an edge within `NEAR` px of a label is right, and a label so near one found."""
    edges, target = logits.float().sigmoid() * counts, target.float() * counts
    pool = partial(F.max_pool2d, kernel_size=2 * NEAR + 1, stride=1, padding=NEAR)
    precision = (edges * pool(target[:, None])[:, 0]).sum() / (edges.sum() + 1)
    recall = (target * pool(edges[:, None])[:, 0]).sum() / (target.sum() + 1)
    return 1 - 2 * precision * recall / (precision + recall + 1e-6)


def ranking_loss(logits: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Dice, and how far pixels on edges are from leading those off them by a logit of 2."""
    dice = dice_loss(logits, target, counts)
    on, off = logits[(target > 0.5) & counts], logits[(target < 0.05) & counts]
    if not len(on) or not len(off):
        return dice
    generator = torch.Generator().manual_seed(0)
    first, second = (
        side[torch.randint(len(side), (PAIRS,), generator=generator)] for side in (on, off)
    )
    return dice + 0.2 * F.relu(2 - (first - second)).mean()


def restarting_cosine(stage: Stage, step: int) -> float:
    """`CYCLES` falling cosines, one after the other (Loshchilov and Hutter, "SGDR", ICLR 2017)."""
    cycle = -(-stage.steps // CYCLES)
    return falling_cosine(replace(stage, steps=cycle), step % cycle)


ROWS = {
    "as the detector of the package": Row(),
    "half of the photographs": Row(photographs=0.5),
    "a quarter of the photographs": Row(photographs=0.25),
    "half of the steps": Row(steps=0.5),
    "twice the steps": Row(steps=2),
    "no running average of the weights": Row(settings={"ema": 0.0}),
    "warm restarts": Row(rate=restarting_cosine),
    "no pasting": Row(settings={"pasted": 0.0}),  # scale and light do not vary either
    "no pasting, but scale and light vary": Row(settings={"pasted": 1e-9}),
    "half of what is pasted has a twin": Row(settings={"twins": 0.5}),
    "pieces of photographs are pasted, no sprites": Row(sprites=False),
    "nothing but pasting: no labels of the photographs": Row(labels=no_labels),
    "labels: closed contours alone": Row(labels=closed_labels),
    "loss: cross-entropy": Row(loss=entropy_loss),
    "loss: F with a tolerance of 2 px": Row(loss=tolerant_loss),
    "loss: Dice and ranking": Row(loss=ranking_loss),
    "side outputs at every scale": Row(student=SideStudent),
}


def main() -> None:
    """Train and score the rows that are missing; write the table."""
    options = read_arguments(__doc__, ROWS)
    pipe = te.TraceEdgePipeline.from_pretrained()
    examples = read_examples(TrainingFreeTeacher(pipe, BASE.teacher), options)
    score_rows(ROWS, lambda name: trained(name, ROWS[name], examples, options), options)


def read_arguments(description: str | None, rows: Iterable[str]) -> argparse.Namespace:
    """Those of a benchmark that trains and scores rows."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("photographs", help="that the students learn from")
    parser.add_argument("images", help="that they are scored on")
    parser.add_argument("truth", type=Path, help="of the images, in COCO's panoptic format")
    parser.add_argument("--labels", type=Path, required=True, help="folder of the label cache")
    parser.add_argument("--sprites", type=Path, required=True, help="as of `distill`")
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows")
    parser.add_argument("--rows", nargs="+", default=list(rows), choices=list(rows))
    parser.add_argument("--steps", type=int, default=300, help="of a row that says nothing else")
    parser.add_argument("--limit", type=int, help="number of photographs to train on")
    torch.set_num_threads(1)
    return parser.parse_args()


def read_examples(teacher: Teacher, options: argparse.Namespace) -> list[Example]:
    """The photographs with the labels of a teacher."""
    cache, student = LabelCache(options.labels, teacher), PixelStudent(BASE.student)
    paths = find_images([options.photographs]).images[: options.limit]
    return [read_example(path, cache, student, BASE) for path in paths]


def score_rows(
    rows: Iterable[str], train: Callable[[str], AnyStudent], options: argparse.Namespace
) -> None:
    """Train and score the rows that have no record, and write the table of all."""
    images = find_images([options.images]).images
    source = open_ground_truth(options.truth)
    truth = {path.stem: edge_truth(source[path.stem](), PROTOCOL) for path in images}
    for name in options.rows:
        record = options.out / f"{name}.json"
        if record.exists():
            continue
        detector = te.EdgeDetector(train(name), BASE.detect_resolution or BASE.resolution)
        drawn = {path.stem: detector(path).thin[0] for path in images}
        scores = {half: score(drawn, truth, start) for half, start in (("odd", 0), ("even", 1))}
        write_json(scores, record)
        print(name, scores, flush=True)
    write_table(options.out, rows)


def trained(
    name: str,
    row: Row,
    examples: Sequence[Example],
    options: argparse.Namespace,
) -> AnyStudent:
    """The student of a row; every tenth photograph is held out."""
    settings = replace(BASE, steps=round(options.steps * row.steps), **row.settings)
    learn = [example for i, example in enumerate(examples) if i % 10]
    learn = learn[: round(len(learn) * row.photographs)]
    if row.labels is not None:
        learn = [replace(one, labels=row.labels(one.labels)) for one in learn]

    def loss(model: nn.Module, student: AnyStudent, batch: Batch, _: Any) -> Tensor:
        total = row.loss(model(batch.images)[0], batch.target, batch.counts)
        if isinstance(student, SideStudent):
            total = total + SIDE * sum(
                row.loss(side, batch.target, batch.counts) for side in student.side_outputs()
            )
        return total

    return fit_student(
        learn, examples[::10], row.student(settings.student), options.out / name, settings,
        json.dumps({"row": name}), Accelerator(cpu=True), loss=loss, rate=row.rate,
        sprites=list(read_sprites(options.sprites).values()) if row.sprites else (),
    )  # fmt: skip


if __name__ == "__main__":
    guarded(main)
