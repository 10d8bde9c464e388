"""Training of a student (section 3.4); resumable to the bit, since the step decides a batch.

A run is the folder of its stage (see `training`), with sheet.png.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from hashlib import blake2b
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from trace_edges.detector.pixels import AnyStudent, PixelStudent
from trace_edges.distillation.destination import LEAST, Destination
from trace_edges.distillation.examples import Batch, Example, draw_batch, read_example
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.losses import batch_loss
from trace_edges.distillation.settings import DistillationSettings
from trace_edges.distillation.sprites import Sprite
from trace_edges.distillation.validation import OdsValidation, draw_sheet, validation_loss
from trace_edges.training import Best, Stage, checkpoint_bytes, falling_cosine, fit

SHEET = "sheet.png"
ODS = "validation_ods"  # in the curves
BatchLoss = Callable[[nn.Module, AnyStudent, Batch, DistillationSettings], Tensor]


def train_student(
    photographs: Sequence[Path],
    held_out: Sequence[Path],
    student: AnyStudent,
    cache: LabelCache,
    folder: Path,
    settings: DistillationSettings,
    *,
    accelerator: Accelerator | None = None,
    on_step: Callable[[Mapping[str, float]], object] | None = None,
    validation: OdsValidation | None = None,
    sprites: Sequence[Sprite] = (),
) -> AnyStudent:
    """Train the decoder, and the LoRA if there is one; goes on where an earlier call stopped.

    Args:
        photographs: that it learns from.
        held_out: that the validation loss is measured on, and that are drawn on the sheet.
        student: freshly made, on the device that it is trained on; its weights are changed.
        cache: of the teacher's maps, made as they are needed.
        folder: of the run.
        settings: a run that was begun with others is refused.
        accelerator: number type, gradient accumulation and, of several processes, devices; None:
            accelerate's defaults.
        on_step: called with what was written to the curves.
        validation: measures ODS at every validation, and ends the run by its patience; its images
            are never learnt from.
        sprites: objects that are pasted onto photographs, if the settings say so.

    Returns:
        The student, with the running average of its weights; where ODS is measured, as they were
        at the validation with the highest.

    Raises:
        MissingExtraError: matplotlib is not installed, or peft for a LoRA.
        FileError: the folder holds a run with other settings or photographs, or is gone.
        OSError: the disk is full.
        ImageError: a photograph cannot be used.
    """
    if not photographs or not held_out:
        raise ValueError("give photographs to learn from and others to validate on (hold_out)")
    accelerator = accelerator or Accelerator(cpu=student.device.type == "cpu")
    if accelerator.num_processes > 1:  # each has a device of its own
        student.move(accelerator.device)
    if settings.crop < student.cell:
        raise ValueError(
            f"crops of {settings.crop} px are less than a cell of the student: {student.cell} px"
        )
    learn, check = (
        [read_example(path, cache, student, settings) for path in paths]
        for paths in (photographs, held_out)
    )
    begun_with = _begun_with(settings, photographs, held_out, student, cache, validation, sprites)
    with _saving_memory(student, settings):
        return fit_student(
            learn, check, student, folder, settings, begun_with, accelerator, on_step, validation,
            sprites,
        )  # fmt: skip


@contextmanager
def _saving_memory(student: AnyStudent, settings: DistillationSettings) -> Iterator[None]:
    """Within, the models take as little memory as the settings ask for."""
    if isinstance(student, PixelStudent):  # which is small
        yield
        return
    backbone, vae = student.backbone, student.backbone.vae
    if settings.gradient_checkpointing:
        student.denoiser.enable_gradient_checkpointing()
        if settings.reconstruction_weight and vae._supports_gradient_checkpointing:
            vae.enable_gradient_checkpointing()
    offloads = settings.offload_vae and backbone.device.type != "cpu"
    with backbone.offloading_vae() if offloads else nullcontext():
        yield


def fit_student(
    learn: Sequence[Example],
    check: Sequence[Example],
    student: AnyStudent,
    folder: Path,
    settings: DistillationSettings,
    begun_with: str,
    accelerator: Accelerator,
    on_step: Callable[[Mapping[str, float]], object] | None = None,
    validation: OdsValidation | None = None,
    sprites: Sequence[Sprite] = (),
    loss: BatchLoss = batch_loss,
    rate: Callable[[Stage, int], float] = falling_cosine,
) -> AnyStudent:
    """`train_student` on examples that are at hand; `begun_with` (JSON) must be equal to go on."""
    seed_student(student, settings.seed)
    student.decoder.train()
    cell, parts = student.cell, accelerator.gradient_accumulation_steps
    destination = Destination(folder, LEAST + checkpoint_bytes(student))
    batch_of = (settings.seed, 0, accelerator.process_index)

    def batches(first: int, end: int) -> Iterator[Batch]:
        for number in range(first, end):
            destination.check()
            entropy = (*batch_of, *divmod(number, parts))
            yield draw_batch(learn, settings, cell, *entropy, sprites=sprites)

    def loss_of(model: nn.Module, batch: Batch, number: int) -> Tensor:
        return loss(model, student, batch, settings)

    def measure(step: int) -> dict[str, float]:
        destination.check()  # a validation takes long, and is written
        measured = {"validation_loss": validation_loss(student, check, settings)}
        draw_sheet(student, check, folder / SHEET)
        if validation is not None:
            measured[ODS] = validation(student)
        return measured

    fit(
        student, settings.stage, folder, begun_with, batches, loss_of,
        measure, accelerator, rate=rate, scores=(ODS,),
        best=None if validation is None else Best(ODS, validation.patience), on_step=on_step,
    )  # fmt: skip
    return student.eval()


def seed_student(student: AnyStudent, seed: int) -> None:
    """Draw the first weights again, so that they depend on the seed alone, and on no device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student.draw_weights()


def _begun_with(
    settings: DistillationSettings,
    photographs: Sequence[Path],
    held_out: Sequence[Path],
    student: AnyStudent,
    cache: LabelCache,
    validation: OdsValidation | None,
    sprites: Sequence[Sprite],
) -> str:
    """What must be equal to go on, as JSON."""
    described = settings.describe()
    # They change no weight; and of the number type, the backbone's fingerprint knows.
    for name in ("dtype", "gradient_checkpointing", "offload_vae"):
        del described[name]

    def digest(paths: Sequence[Path]) -> str:
        content = blake2b(digest_size=8)
        for path in paths:
            content.update(path.read_bytes())
        return f"{len(paths)} photographs {content.hexdigest()}"

    return json.dumps(
        described
        | {"photographs": digest(photographs), "held_out": digest(held_out)}
        | {"backbone": student.base, "device": student.device.type}
        | {"looks": [view.description for view in cache.teacher.views]}
        | ({"sprites": blake2b(b"".join(map(bytes, sprites))).hexdigest()} if sprites else {})
        | ({} if validation is None else {"judge": validation.describe()}),
        sort_keys=True,
    )
