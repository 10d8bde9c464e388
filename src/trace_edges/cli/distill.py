"""`trace-edges distill`: photographs in, a one-step edge detector out."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

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


class Precision(StrEnum):
    """Number types of the training, as accelerate calls them."""

    no = "no"
    fp16 = "fp16"
    bf16 = "bf16"


class Tracker(StrEnum):
    """Where accelerate can report to."""

    tensorboard = "tensorboard"


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
        typer.Option(help="A detector of an earlier round. Default: the training-free way."),
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
    mixed_precision: Annotated[Precision, typer.Option(help="Of training.")] = Precision.no,
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
        bool, typer.Option("--offload", help="The teacher on the device only while it looks.")
    ] = False,
    vae_tiling: Annotated[
        bool, typer.Option("--vae-tiling", help="The teacher encodes large images in tiles.")
    ] = False,
    recursive: Annotated[bool, typer.Option(help="Search folders below folders.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Distil a one-step detector from the training-free way, without a label.

    --null, --revision and --quantize hold for teacher and student: in fewer bits, the decoder and
    a LoRA are trained beside weights that stay as they are.

    Starting the same command again goes on where it stopped.
    """
    with plain_errors():
        from accelerate import Accelerator

        from trace_edges.detector import EdgeDetector, Student
        from trace_edges.distillation.label_cache import LabelCache
        from trace_edges.distillation.run import distill as train
        from trace_edges.distillation.settings import read_config
        from trace_edges.distillation.teachers import StudentTeacher, TrainingFreeTeacher
        from trace_edges.distillation.validation import Judge
        from trace_edges.extras import require
        from trace_edges.files import find_images

        if (check_images is None) != (check_truth is None):
            raise ValueError("--check-images and --check-truth belong together: give both")
        if teacher is not None:
            _refuse_of_training_free(dtype, shift, offload, vae_tiling)
        if report_to is not None:
            require("tensorboard", "tensorboard")  # accelerate would leave it out without a word
        found = find_images(inputs, recursive)
        for problem in found.problems:
            error(str(problem))
        chosen = read_config(config)
        if seed is not None:
            chosen = replace(chosen, seed=seed)
        if steps is not None:
            chosen = replace(chosen, steps=steps)
        if rank is not None:
            weight = chosen.reconstruction_weight if rank else 0.0
            made_of = replace(chosen.student, rank=rank)
            chosen = replace(chosen, student=made_of, reconstruction_weight=weight)
        if reconstruction_weight is not None:
            chosen = replace(chosen, reconstruction_weight=reconstruction_weight)
        if gradient_checkpointing and not chosen.student.rank:
            raise ValueError("--gradient-checkpointing saves memory of a LoRA only: give --rank")
        averaging = chosen.averaging
        if label_resolution:
            averaging = replace(averaging, resolutions=tuple(label_resolution))
        if average_mirrored:
            averaging = replace(averaging, mirror=True)
        chosen = replace(chosen, averaging=averaging)
        if shift is not None:
            chosen = replace(chosen, teacher=replace(chosen.teacher, shift=shift))
        judge = None
        if check_images is not None and check_truth is not None:
            judge = Judge(find_images([str(check_images)]).images, check_truth, chosen.resolution)
        # Apart from the teacher's, since the LoRA changes the denoiser that it is put in.
        loaded = load_options(null, revision, quantize, offload, vae_tiling)
        own = load_denoiser(backbone, device, DType.float32, loaded)
        if teacher is None:
            pipe = load_pipeline(backbone, device, dtype, loaded)
            says: Any = TrainingFreeTeacher(pipe, chosen.teacher, averaging)
        else:
            says = StudentTeacher(load_detector(teacher, device, DType.float32), averaging)
        cache = LabelCache(labels or out / "labels", says)
        good = []
        with progress(len(found.images), "labels", hidden=quiet) as advance:
            for image, problem_with_it in cache.fill(found.images):
                if problem_with_it:
                    error(problem_with_it)
                else:
                    good.append(image)
                advance()
        held_out, photographs = good[::hold_out], [p for i, p in enumerate(good) if i % hold_out]
        if not photographs:
            raise ValueError(f"{len(good)} usable photographs are too few: give 2 or more")
        accelerator = Accelerator(
            mixed_precision=mixed_precision.value,
            gradient_accumulation_steps=accumulate,
            cpu=own.device.type == "cpu",
            log_with=None if report_to is None else report_to.value,
            project_dir=out,
        )
        accelerator.init_trackers("distill")
        student = Student(own, chosen.student)
        if gradient_checkpointing:
            student.denoiser.enable_gradient_checkpointing()
        lines: list[Any] = []
        with progress(chosen.steps, "distilling", hidden=quiet) as advance:

            def follow(line: Any) -> None:
                lines.append(line)
                advance()

            trained = train(
                photographs, held_out, student, cache, out, chosen,
                accelerator=accelerator, on_step=follow, judge=judge, patience=patience,
            )  # fmt: skip
        accelerator.end_training()
        measured = [line for line in lines if "validation_loss" in line]
        training = chosen.describe() | {"looks": [look.made_with for look in says.looks]}
        training |= {"photographs": len(photographs), "held_out": len(held_out)}
        if measured:
            first, last = (measured[place]["validation_loss"] for place in (0, -1))
            training["measured"] = {
                "validation loss, first": first, "validation loss, last": last,
                **({"validation ODS": judged} if (judged := _best_ods(measured)) else {}),
            }  # fmt: skip
        detect_at = chosen.detect_resolution or chosen.resolution
        EdgeDetector(trained, detect_at, training).save_pretrained(out)
        if not quiet:
            for line in measured:
                ods = f", ODS {line['validation_ods']:.3f}" if "validation_ods" in line else ""
                loss = line["validation_loss"]
                console.print(f"step {line['step']}: validation loss {loss:.4f}{ods}")
            console.print(f"detector: {escape(str(out))}")
        if found.problems or len(good) < len(found.images):
            raise typer.Exit(1)


def _refuse_of_training_free(
    dtype: DType, shift: float | None, offload: bool, vae_tiling: bool
) -> None:
    """`ValueError` where an option of the training-free teacher was given beside a detector."""
    given = {"dtype": dtype is not DType.float32, "shift": shift is not None, "offload": offload,
             "vae-tiling": vae_tiling}  # fmt: skip
    if names := [name for name, is_given in given.items() if is_given]:
        raise ValueError(f"--{names[0]} is of the training-free teacher: leave it or --teacher out")


def _best_ods(measured: list[Any]) -> float | None:
    return max((line["validation_ods"] for line in measured if "validation_ods" in line),
               default=None)  # fmt: skip
