"""`trace-edges distill`: photographs in, a one-step edge detector out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from trace_edges.backbones.checkpoints import EMBEDDED
from trace_edges.cli.common import console, error, progress
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import FILES, BackboneName, Files, Reporting
from trace_edges.distillation.options import Overrides, TrainingOptions
from trace_edges.edge_model import EdgeModel
from trace_edges.loading import Loading
from trace_edges.outputs import Outputs

_OF_TEACHER = {
    "dtype": "Number type of a training-free teacher; the student's is --student-dtype.",
    "offload": "Move each part of a training-free teacher to the device only while it runs.",
    "vae_tiling": "Encode large images in tiles in a training-free teacher, to save memory.",
}
LOADING = Fields("Loading", help=_OF_TEACHER)


@dataclass(frozen=True)
class Teaching:
    """What the student learns from, beside the photographs.

    Attributes:
        teacher: Detector that draws the labels. Default: the training-free method.
        labels: Folder that keeps the labels. Default: OUT/labels.
        sprites: Objects that are pasted onto photographs where --config or --pasted asks for it:
            a folder of images with a transparent background.
    """

    teacher: str | None = None
    labels: Path | None = None
    sprites: Path | None = None


@dataclass(frozen=True)
class Checking:
    """Images with ground truth, on which a run is measured.

    Attributes:
        check_images: Folder of images on which the ODS of the edges (their F-measure at the best
            threshold) is measured; they are never trained on.
        check_truth: Ground truth of these images, in any form that evaluate edges reads.
            OUT/calibration.json will say what the strengths of the detector are worth on them, for
            detect --calibration.
        patience: Stop after this many validations in a row without a higher ODS.
    """

    check_images: Path | None = None
    check_truth: Path | None = None
    patience: int = 5

    def __post_init__(self) -> None:
        if (self.check_images is None) != (self.check_truth is None):
            raise ValueError("--check-images and --check-truth belong together: give both")


@command
def distill(
    inputs: Annotated[
        list[str], typer.Argument(help="Photographs to train on: files, folders or patterns.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the detector and the state of the run.")],
    overrides: Annotated[Overrides, Fields("Settings that differ from --config")],
    training: Annotated[TrainingOptions, Fields("Training")],
    teaching: Annotated[Teaching, Fields("What it learns from")],
    checking: Annotated[Checking, Fields("Measuring on images with ground truth")],
    loading: Annotated[Loading, LOADING],
    files: Annotated[Files, Fields(FILES.panel, leave_out=("overwrite",))],
    reporting: Annotated[Reporting, FILES],
    backbone: BackboneName = EMBEDDED,
    config: Annotated[
        str,
        typer.Option(
            help="Settings: pixels (a small network that reads the image alone, as the detector of "
            "this package), toy (a trial of minutes), cpu (a student that reads the backbone), "
            "24gb (such a one, for a GPU of 24 GB), paper (as the paper), or a JSON file."
        ),
    ] = "pixels",
) -> None:
    """Train a one-step detector from unlabelled photographs (distillation).

    A teacher, by default the training-free method, draws edges on the photographs. A student
    learns to draw them in one step. Both use --backbone with the same --null, --revision and
    --quantize.

    To continue after an interruption, give the same command again.

    Example: trace-edges distill photos --out run
    """
    from trace_edges.files import find_images

    teacher = teaching.teacher
    if teacher is not None:
        _refuse_of_training_free(overrides, loading)
    found = find_images(inputs, files.recursive)
    unusable = [str(problem) for problem in found.problems]
    for problem in unusable:
        error(problem)
    from trace_edges.backbones import DiffusionBackbone
    from trace_edges.distillation.destination import check_room
    from trace_edges.distillation.run import RUN_FILES, distill_detector
    from trace_edges.distillation.settings import read_config
    from trace_edges.distillation.sprites import read_sprites
    from trace_edges.distillation.validation import OdsValidation

    settings = overrides.apply(read_config(config))
    validation = None
    if checking.check_images is not None and checking.check_truth is not None:
        images = find_images([str(checking.check_images)]).images
        validation = OdsValidation(
            images, checking.check_truth, settings.resolution, patience=checking.patience
        )
    sprites = []
    if teaching.sprites is not None:
        if not settings.pasted:
            raise ValueError("--sprites are pasted only with --pasted or --config pixels: add one")
        sprites = list(read_sprites(teaching.sprites).values())
    given = (config, teacher, teaching.sprites, checking.check_images, checking.check_truth)
    read = (*found.images, *(path for path in given if path is not None and Path(path).exists()))
    outputs = Outputs("distill", read)
    outputs.check(*(out / name for name in RUN_FILES))
    check_room(out)
    as_trained = replace(loading, dtype=settings.dtype)
    if teacher is None:
        source = loading.load_pipeline(backbone)
        if not isinstance(source.backbone, DiffusionBackbone):
            raise ValueError(f"{backbone} is an encoder: only diffusion models are distilled")
    else:
        source = EdgeModel(name=teacher, loading=replace(loading, dtype="float32")).load()

    def load_own() -> DiffusionBackbone:
        source.to("cpu")  # its labels are made, and a card may hold one model alone
        return as_trained.load_denoiser(backbone)

    def report(problem: str) -> None:
        unusable.append(problem)
        error(problem)

    lines: list[Mapping[str, float]] = []
    with outputs.writing():
        distill_detector(
            found.images, out, settings, load_own, source,
            labels=teaching.labels, sprites=sprites, options=training, validation=validation,
            progress=partial(progress, hidden=not reporting.prints_table), on_unusable=report,
            on_step=lines.append,
        )  # fmt: skip
    measured = [line for line in lines if "validation_loss" in line]
    if reporting.json:
        typer.echo(json.dumps({"detector": str(out), "validations": measured}))
    elif not reporting.quiet:
        _print(measured, out)
    if unusable:
        raise typer.Exit(1)


def _print(lines: Sequence[Mapping[str, float]], out: Path) -> None:
    """Print what was measured, and where the detector is."""
    for line in lines:
        ods = f", ODS {line['validation_ods']:.3f}" if "validation_ods" in line else ""
        console.print(f"step {line['step']}: validation loss {line['validation_loss']:.4f}{ods}")
    console.print(f"detector: {escape(str(out))}")


def _refuse_of_training_free(overrides: Overrides, loading: Loading) -> None:
    """`ValueError` where an option of the training-free teacher was given beside a detector."""
    given = {"dtype": loading.dtype != "auto", "shift": overrides.shift is not None,
             "offload": loading.offload, "vae-tiling": loading.vae_tiling}  # fmt: skip
    if names := [name for name, is_given in given.items() if is_given]:
        raise ValueError(f"--{names[0]} is for a training-free teacher: omit it, or --teacher")
