"""A whole distillation: labels, split, training, and a detector that is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from trace_edges.backbones import DiffusionBackbone
from trace_edges.detector.config import CONFIG, WEIGHTS
from trace_edges.detector.detector import EdgeDetector
from trace_edges.detector.hub import CARD
from trace_edges.detector.pixels import AnyStudent, PixelStudent
from trace_edges.detector.student import Student
from trace_edges.distillation.destination import Destination, check_room
from trace_edges.distillation.fitting import ODS, train_student
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.options import TrainingOptions
from trace_edges.distillation.settings import DistillationSettings
from trace_edges.distillation.sprites import Sprite
from trace_edges.distillation.teachers import make_teacher
from trace_edges.distillation.validation import OdsValidation
from trace_edges.training import read_curves
from trace_edges.training.curves import LINES, PICTURE
from trace_edges.training.loop import BEST, CHECKPOINT
from trace_edges.training_free.pipeline import TraceEdgePipeline

CALIBRATION = "calibration.json"  # of the detector, where ODS is measured
# What a run writes into its folder, beside the labels.
RUN_FILES = (CONFIG, WEIGHTS, CARD, CHECKPOINT, BEST, LINES, PICTURE, CALIBRATION)

# A context in which so many things are done, (how many, what) -> what is called after each.
Progress = Callable[[int, str], AbstractContextManager[Callable[[], None]]]


def no_progress(total: int, what: str) -> AbstractContextManager[Callable[[], None]]:
    """Show nothing."""
    return nullcontext(lambda: None)


def distill_detector(
    photographs: Sequence[Path],
    folder: Path,
    settings: DistillationSettings,
    backbone: DiffusionBackbone | Callable[[], DiffusionBackbone],
    teacher: TraceEdgePipeline | EdgeDetector,
    *,
    labels: Path | None = None,
    sprites: Sequence[Sprite] = (),
    options: TrainingOptions | None = None,
    validation: OdsValidation | None = None,
    progress: Progress = no_progress,
    on_unusable: Callable[[str], object] | None = None,
    on_step: Callable[[Mapping[str, float]], object] | None = None,
) -> EdgeDetector:
    """Distil a one-step detector from unlabelled photographs; goes on where an earlier call with
    the same photographs and settings stopped.

    Examples:
        >>> backbone, teacher = load_backbone(), TraceEdgePipeline.from_pretrained()
        >>> detector = distill_detector(paths, Path("run"), CONFIGS["toy"], backbone, teacher)

    Args:
        photographs: those that cannot be used are left out.
        folder: of the run and of the detector.
        settings: of the student, its labels, its teacher and its training.
        backbone: the student's, if it reads one, in the settings' number type and on the device
            that it is trained on; not the teacher's, since a LoRA changes it. Or what loads it,
            called once the labels are made, so that a device need not hold both.
        teacher: the pipeline, or a detector of an earlier round.
        labels: folder of the label cache; None: `labels` below `folder`.
        sprites: objects that are pasted onto photographs, if the settings say so (`pasted`).
        options: how the run trains on this machine.
        validation: measures ODS of the student, and at the end what its strengths are worth
            (calibration.json); its images are never learnt from.
        progress: shows how far labels and training are.
        on_unusable: called with why a photograph cannot be used.
        on_step: called with what was written to the curves.

    Returns:
        The detector, which was saved in `folder` together with how it was trained.

    Raises:
        ValueError: fewer than two photographs can be used, the teacher does not know a setting, or
            the backbone is in another number type.
        FileError: the folder holds a run with other settings or photographs, or is gone.
        OSError: the disk is full.
        MissingExtraError: matplotlib is not installed, or peft for a LoRA.
    """
    options = options or TrainingOptions()
    cache = LabelCache(
        labels or folder / "labels", make_teacher(teacher, settings.teacher, settings.averaging)
    )
    places = (folder, labels or folder / "labels")
    for place in places:
        check_room(place)
    destinations: list[Destination] = []
    with progress(len(photographs), "labels") as advance:
        usable = []
        for photograph, problem in cache.fill(photographs):
            # Not before: settings that the teacher refuses leave no folder behind.
            destinations = destinations or [Destination(place) for place in places]
            for destination in destinations:
                destination.check()
            if not problem:
                usable.append(photograph)
            elif on_unusable is not None:
                on_unusable(problem)
            advance()
    learn, held_out = split_photographs(usable, options.hold_out)
    student = _make_student(settings, options, backbone, teacher)
    accelerator = options.accelerator(folder, cpu=student.device.type == "cpu")
    with progress(settings.steps, "distilling") as advance:

        def follow(line: Mapping[str, float]) -> None:
            if on_step is not None:
                on_step(line)
            advance()

        student = train_student(
            learn, held_out, student, cache, folder, settings,
            accelerator=accelerator, on_step=follow, validation=validation, sprites=sprites,
        )  # fmt: skip
    accelerator.end_training()
    training = settings.describe() | {
        "looks": [view.description for view in cache.teacher.views],
        "photographs": len(learn), "held_out": len(held_out), "sprites": len(sprites),
        "measured": best_measurements(read_curves(folder)),
    }  # fmt: skip
    detector = EdgeDetector(student, settings.detect_resolution or settings.resolution, training)
    detector.save_pretrained(folder)
    calibration = None if validation is None else validation.calibrate(detector)
    if calibration is not None:
        calibration.save(folder / CALIBRATION)
    return detector


def _make_student(
    settings: DistillationSettings,
    options: TrainingOptions,
    backbone: DiffusionBackbone | Callable[[], DiffusionBackbone],
    teacher: TraceEdgePipeline | EdgeDetector,
) -> AnyStudent:
    """The student, on the device of its backbone, or of the teacher if it has none."""
    if settings.student.widths:
        owner = teacher.backbone if isinstance(teacher, TraceEdgePipeline) else teacher.student
        return PixelStudent(settings.student).to(owner.device)
    backbone = backbone() if callable(backbone) else backbone
    _check_dtype(backbone, settings, options)
    return Student(backbone, settings.student)


def _check_dtype(
    backbone: DiffusionBackbone, settings: DistillationSettings, options: TrainingOptions
) -> None:
    """Refuse weights in another number type than the settings', or one without what it needs."""
    held = str(backbone.dtype).removeprefix("torch.")
    if held != settings.dtype:
        raise ValueError(
            f"{backbone.name} is in {held}, and the settings train beside {settings.dtype}: load "
            f"it with dtype=torch.{settings.dtype}, or change the settings' dtype"
        )
    if held == "float16" and options.mixed_precision != "fp16":
        raise ValueError("beside weights in float16 the loss must be scaled, or gradients vanish: "
                         "add --mixed-precision fp16, or take bfloat16")  # fmt: skip


def split_photographs(
    photographs: Sequence[Path], hold_out: int
) -> tuple[Sequence[Path], Sequence[Path]]:
    """Split photographs into those to learn from and every `hold_out`-th, for validation.

    Raises:
        ValueError: none would be left to learn from.
    """
    learn = [path for index, path in enumerate(photographs) if index % hold_out]
    if not learn:
        raise ValueError(f"{len(photographs)} usable photographs are too few: give 2 or more")
    return learn, photographs[::hold_out]


def best_measurements(lines: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Give the first and the last validation loss of a run's curves, and the best ODS, if any."""
    losses = [line["validation_loss"] for line in lines if "validation_loss" in line]
    measured = {"validation loss, first": losses[0], "validation loss, last": losses[-1]}
    if best := max((line[ODS] for line in lines if ODS in line), default=None):
        measured["validation ODS"] = best
    return measured
