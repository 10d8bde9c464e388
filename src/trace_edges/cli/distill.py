"""`trace-edges distill`: photographs in, a one-step edge detector out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from trace_edges.cli.common import console, error, progress
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import Files, Reporting
from trace_edges.distillation.options import Overrides, TrainingOptions
from trace_edges.edge_model import EMBEDDED, EdgeModel, Loading
from trace_edges.outputs import Outputs

_OF_TEACHER = {
    "dtype": "Of the training-free teacher's weights; the student's: float32.",
    "offload": "The teacher on the device only while it runs.",
    "vae_tiling": "The teacher encodes large images in tiles.",
}
LOADING = Fields("Loading", help=_OF_TEACHER)


@dataclass(frozen=True)
class Checking:
    """Images with ground truth, on which a run is measured.

    Attributes:
        check_images: Photographs to measure ODS on; never learnt from.
        check_truth: Their ground truth, as evaluate edges takes it.
    """

    check_images: Path | None = None
    check_truth: Path | None = None

    def __post_init__(self) -> None:
        if (self.check_images is None) != (self.check_truth is None):
            raise ValueError("--check-images and --check-truth belong together: give both")


@command
def distill(
    inputs: Annotated[list[str], typer.Argument(help="Photographs: files, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder of the run and of the detector.")],
    overrides: Annotated[Overrides, Fields("Settings")],
    training: Annotated[TrainingOptions, Fields("Training")],
    checking: Annotated[Checking, Fields("Checking")],
    loading: Annotated[Loading, LOADING],
    files: Annotated[Files, Fields(leave_out=("overwrite",))],
    reporting: Annotated[Reporting, Fields(leave_out=("json",))],
    backbone: Annotated[
        str, typer.Option(help="A name (`trace-edges backbones`), a folder, or a hub id.")
    ] = EMBEDDED,
    config: Annotated[
        str,
        typer.Option(help="toy, cpu, 24gb, paper, or a JSON file: settings, or a detector's own."),
    ] = "cpu",
    labels: Annotated[
        Path | None, typer.Option(help="Folder of the label cache. Default: OUT/labels.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="A detector of an earlier round. Default: the training-free method."),
    ] = None,
) -> None:
    """Distil a one-step detector from the training-free method, without a label.

    --null, --revision and --quantize hold for teacher and student: in fewer bits, the decoder and
    a LoRA are trained beside weights that stay as they are.

    Starting the same command again goes on where it stopped.
    """
    from trace_edges.files import find_images

    if teacher is not None:
        _refuse_of_training_free(overrides, loading)
    found = find_images(inputs, files.recursive)
    unusable = [str(problem) for problem in found.problems]
    for problem in unusable:
        error(problem)
    from trace_edges.distillation.run import RUN_FILES, distill_detector
    from trace_edges.distillation.settings import read_config
    from trace_edges.distillation.validation import OdsValidation

    settings = overrides.apply(read_config(config))
    if training.gradient_checkpointing and not settings.student.rank:
        raise ValueError("--gradient-checkpointing saves memory of a LoRA only: give --rank")
    validation = None
    if checking.check_images is not None and checking.check_truth is not None:
        images = find_images([str(checking.check_images)]).images
        validation = OdsValidation(images, checking.check_truth, settings.resolution)
    given = (config, teacher, checking.check_images, checking.check_truth)
    read = (*found.images, *(path for path in given if path is not None and Path(path).exists()))
    outputs = Outputs("distill", read)
    outputs.check(*(out / name for name in RUN_FILES))
    in_full = replace(loading, dtype="float32")  # as the student is trained
    own = in_full.load_denoiser(backbone)
    if teacher is None:
        source = loading.load_pipeline(backbone)
    else:
        source = EdgeModel(name=teacher, loading=in_full).load()

    def report(problem: str) -> None:
        unusable.append(problem)
        error(problem)

    lines: list[Mapping[str, float]] = []
    with outputs.writing():
        distill_detector(
            found.images, out, settings, own, source,
            labels=labels, options=training, validation=validation,
            progress=partial(progress, hidden=reporting.quiet), on_unusable=report,
            on_step=lines.append,
        )  # fmt: skip
    if not reporting.quiet:
        _print(lines, out)
    if unusable:
        raise typer.Exit(1)


def _print(lines: Sequence[Mapping[str, float]], out: Path) -> None:
    """Print what was measured, and where the detector is."""
    for line in lines:
        if "validation_loss" in line:
            ods = f", ODS {line['validation_ods']:.3f}" if "validation_ods" in line else ""
            console.print(
                f"step {line['step']}: validation loss {line['validation_loss']:.4f}{ods}"
            )
    console.print(f"detector: {escape(str(out))}")


def _refuse_of_training_free(overrides: Overrides, loading: Loading) -> None:
    """`ValueError` where an option of the training-free teacher was given beside a detector."""
    given = {"dtype": loading.dtype != "auto", "shift": overrides.shift is not None,
             "offload": loading.offload, "vae-tiling": loading.vae_tiling}  # fmt: skip
    if names := [name for name, is_given in given.items() if is_given]:
        raise ValueError(f"--{names[0]} is of the training-free teacher: leave it or --teacher out")
