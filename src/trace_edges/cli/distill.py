"""`trace-edges distill`: photographs in, a one-step edge detector out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from trace_edges.cli.common import console, error, plain_errors, progress
from trace_edges.cli.old_options import (
    Backbone,
    Device,
    DType,
    Null,
    Quantize,
    Revision,
    load_denoiser,
    load_detector,
    load_options,
    load_pipeline,
)
from trace_edges.distillation.options import Overrides, Precision, Tracker, TrainingOptions


def distill(
    inputs: Annotated[list[str], typer.Argument(help="Photographs: files, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder of the run and of the detector.")],
    backbone: Backbone = "trace-mini",
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
    label_resolution: Annotated[
        list[int] | None,
        typer.Option(help="sqrt(H * W) of what the teacher sees; several are averaged.", min=32),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Instead of the config's.", min=1)] = None,
    rank: Annotated[int | None, typer.Option(help="Of the LoRA; 0: none.", min=0)] = None,
    reconstruction_weight: Annotated[
        float | None, typer.Option(help="Of L_rec, which holds the LoRA; 0: none.", min=0)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of weights and crops. Default: the config's.")
    ] = None,
    hold_out: Annotated[
        int, typer.Option(help="Every so many-th photograph is for validation.", min=2)
    ] = 10,
    mixed_precision: Annotated[Precision, typer.Option(help="Of training.")] = "no",
    accumulate: Annotated[int, typer.Option(help="Batches a step.", min=1)] = 1,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, with a LoRA.")
    ] = False,
    average_mirrored: Annotated[
        bool, typer.Option("--average-mirrored", help="Labels of the mirrored photograph as well.")
    ] = False,
    check_images: Annotated[
        Path | None, typer.Option(help="Photographs to measure ODS on; never learnt from.")
    ] = None,
    check_truth: Annotated[
        Path | None, typer.Option(help="Their ground truth, as evaluate edges takes it.")
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Stop after so many validations without a higher ODS.", min=1)
    ] = 5,
    report_to: Annotated[Tracker | None, typer.Option(help="Where the curves go too.")] = None,
    device: Device = "auto",
    null: Null = None,
    revision: Revision = None,
    quantize: Quantize = None,
    dtype: Annotated[
        DType, typer.Option(help="Of the training-free teacher's weights; the student's: float32.")
    ] = DType.float32,
    shift: Annotated[
        float | None, typer.Option(help="Of flow models, in the teacher. Default: the config's.")
    ] = None,
    offload: Annotated[
        bool, typer.Option("--offload", help="The teacher on the device only while it runs.")
    ] = False,
    vae_tiling: Annotated[
        bool, typer.Option("--vae-tiling", help="The teacher encodes large images in tiles.")
    ] = False,
    recursive: Annotated[bool, typer.Option(help="Search folders below folders.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Distil a one-step detector from the training-free method, without a label.

    --null, --revision and --quantize hold for teacher and student: in fewer bits, the decoder and
    a LoRA are trained beside weights that stay as they are.

    Starting the same command again goes on where it stopped.
    """
    with plain_errors():
        from trace_edges.distillation.run import distill_detector
        from trace_edges.distillation.settings import read_config
        from trace_edges.distillation.validation import OdsValidation
        from trace_edges.files import find_images

        if (check_images is None) != (check_truth is None):
            raise ValueError("--check-images and --check-truth belong together: give both")
        if teacher is not None:
            _refuse_of_training_free(dtype, shift, offload, vae_tiling)
        training = TrainingOptions(
            hold_out=hold_out, mixed_precision=mixed_precision, accumulate=accumulate,
            gradient_checkpointing=gradient_checkpointing, patience=patience, report_to=report_to,
        )  # fmt: skip
        overrides = Overrides(
            label_resolution=label_resolution, steps=steps, rank=rank,
            reconstruction_weight=reconstruction_weight, seed=seed,
            average_mirrored=average_mirrored, shift=shift,
        )  # fmt: skip
        found = find_images(inputs, recursive)
        unusable = [str(problem) for problem in found.problems]
        for problem in unusable:
            error(problem)
        settings = overrides.apply(read_config(config))
        if gradient_checkpointing and not settings.student.rank:
            raise ValueError("--gradient-checkpointing saves memory of a LoRA only: give --rank")
        validation = None
        if check_images is not None and check_truth is not None:
            images = find_images([str(check_images)]).images
            validation = OdsValidation(images, check_truth, settings.resolution)
        loaded = load_options(null, revision, quantize, offload, vae_tiling)
        own = load_denoiser(backbone, device, DType.float32, loaded)
        if teacher is None:
            source = load_pipeline(backbone, device, dtype, loaded)
        else:
            source = load_detector(teacher, device, DType.float32)

        def report(problem: str) -> None:
            unusable.append(problem)
            error(problem)

        lines: list[Mapping[str, float]] = []
        distill_detector(
            found.images, out, settings, own, source,
            labels=labels, options=training, validation=validation,
            progress=partial(progress, hidden=quiet), on_unusable=report, on_step=lines.append,
        )  # fmt: skip
        if not quiet:
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


def _refuse_of_training_free(
    dtype: DType, shift: float | None, offload: bool, vae_tiling: bool
) -> None:
    """`ValueError` where an option of the training-free teacher was given beside a detector."""
    given = {"dtype": dtype is not DType.float32, "shift": shift is not None, "offload": offload,
             "vae-tiling": vae_tiling}  # fmt: skip
    if names := [name for name, is_given in given.items() if is_given]:
        raise ValueError(f"--{names[0]} is of the training-free teacher: leave it or --teacher out")
