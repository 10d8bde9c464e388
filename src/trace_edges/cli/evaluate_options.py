"""Options that the evaluation commands share."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """What a ground truth is, for the command line."""

    auto = "auto"
    coco_panoptic = "coco-panoptic"
    coco_instances = "coco-instances"
    voc = "voc"
    bsds = "bsds"
    labels = "labels"
    boundaries = "boundaries"


class GtMode(StrEnum):
    """How boundaries are made of labels, for the command line."""

    thin = "thin"
    right_down = "right_down"
    inner = "inner"
    thick = "thick"
    given = "given"


class Void(StrEnum):
    """What becomes of pixels without a label, for the command line."""

    edge = "edge"
    nearest = "nearest"
    ignore = "ignore"


KindOption = Annotated[Kind, typer.Option(help="What the ground truth is.")]
GtModeOption = Annotated[
    GtMode | None,
    typer.Option(help="Boundaries of labels. Default: thin, or given where they are drawn."),
]
VoidOption = Annotated[
    Void, typer.Option(help="Void: a segment, filled by the nearest one, or not counted.")
]
Workers = Annotated[int, typer.Option(help="Processes; 0: one for each core.", min=0)]


def worker_count(asked: int) -> int:
    """Processes for `Workers`."""
    return asked or os.cpu_count() or 1
