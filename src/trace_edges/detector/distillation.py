"""The training loop (section 3.4): resumable to the bit, since the step alone decides a batch.

A run is a folder: checkpoint.safetensors, curves.jsonl and curves.png, sheet.png, at its end the
detector, and best.safetensors where a judge says which weights are the best.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trace_edges.detector.examples import Batch, Example, draw_batch, read_example
from trace_edges.detector.judge import Judge
from trace_edges.detector.label_cache import LabelCache
from trace_edges.detector.losses import EDGE_LOSSES, reconstruction_loss
from trace_edges.detector.settings import DistillationSettings
from trace_edges.detector.sheet import draw_sheet
from trace_edges.detector.student import Student
from trace_edges.files import write_atomically
from trace_edges.training import (
    Curves,
    averaged,
    follow_weights,
    load_checkpoint,
    save_checkpoint,
)

CHECKPOINT, BEST, SHEET = "checkpoint.safetensors", "best.safetensors", "sheet.png"
_WARM_UP = 50  # steps
_LAST_RATE = 0.02  # of the learning rate, at the end of the cosine
_VALIDATION_BATCHES = 4
_VALIDATION = 1  # the entropy that keeps its crops apart from those of training, which have 0


def distill(
    photographs: Sequence[Path],
    held_out: Sequence[Path],
    student: Student,
    cache: LabelCache,
    folder: Path,
    settings: DistillationSettings,
    *,
    accelerator: Accelerator | None = None,
    on_step: Callable[[Mapping[str, float]], object] | None = None,
    judge: Judge | None = None,
    patience: int = 5,
) -> Student:
    """Train the decoder, and the LoRA if there is one; goes on where an earlier call stopped.

    Args:
        photographs: that it learns from.
        held_out: that the validation loss is measured on, and that are drawn on the sheet.
        student: freshly made; its weights are changed.
        cache: what the teacher says, made as it is needed.
        folder: of the run.
        settings: a run that was begun with others is refused.
        accelerator: number type, gradient accumulation and devices; None: accelerate's defaults.
        on_step: called with what was written to the curves.
        judge: measures ODS at every validation; its images are never learnt from.
        patience: the run ends after so many validations without a higher ODS.

    Returns:
        The student, with the running average of its weights; with a judge, as they were at the
        validation with the highest ODS.

    Raises:
        MissingExtraError: matplotlib is not installed, or peft for a LoRA.
        FileError: the folder holds a run with other settings or photographs.
        ImageError: a photograph cannot be used.
    """
    if not photographs or not held_out:
        raise ValueError("there must be photographs to learn from and some to validate on")
    accelerator = accelerator or Accelerator()
    student.backbone.to(accelerator.device)
    learn, check = (
        [read_example(path, cache, student, settings) for path in paths]
        for paths in (photographs, held_out)
    )
    begun_with = _begun_with(settings, photographs, held_out, student, cache, judge)
    return fit(
        learn, check, student, folder, settings, begun_with, accelerator, on_step, judge, patience
    )


def fit(
    learn: Sequence[Example],
    check: Sequence[Example],
    student: Student,
    folder: Path,
    settings: DistillationSettings,
    begun_with: str,
    accelerator: Accelerator,
    on_step: Callable[[Mapping[str, float]], object] | None = None,
    judge: Judge | None = None,
    patience: int = 5,
) -> Student:
    """`distill` on examples that are at hand; `begun_with` (JSON) must be equal to go on."""
    seed_student(student, settings.seed)
    weights = dict(student.trained())
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = torch.optim.AdamW(
        weights.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    model = accelerator.prepare(student) if accelerator.num_processes > 1 else student
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, start = folder / CHECKPOINT, 0
    if checkpoint.exists():
        start = load_checkpoint(checkpoint, weights, average, optimizer, begun_with)
    main = accelerator.is_main_process
    curves = Curves(folder, start, main)
    cell = student.backbone.cell
    batch_of = (settings.seed, 0, accelerator.process_index)
    student.decoder.train()
    for step in range(start, settings.steps):
        if curves.since_best() >= patience:
            break
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, settings.steps)
        losses = []
        for part in range(accelerator.gradient_accumulation_steps):
            batch = draw_batch(learn, settings, cell, *batch_of, step, part)
            with accelerator.autocast():
                loss = batch_loss(model, student, batch, settings)
            accelerator.backward(loss / accelerator.gradient_accumulation_steps)
            losses.append(loss.detach())
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        follow_weights(average, weights, step, settings.ema)
        done = step + 1
        line = {"step": done, "loss": float(torch.stack(losses).mean())}
        if done == 1 or done % settings.validate_every == 0 or done == settings.steps:
            with averaged(weights, average):
                line["validation_loss"] = validation_loss(student, check, settings)
                if main:
                    draw_sheet(student, check, folder / SHEET)
                if judge is not None:
                    line["validation_ods"] = judge(student)
        curves.add(line)
        accelerator.log({name: line[name] for name in line if name != "step"}, step=done)
        if main and "validation_ods" in line and curves.since_best() == 0:
            with write_atomically(folder / BEST) as temporary:
                save_file({n: w.detach().cpu().contiguous() for n, w in average.items()}, temporary)
        last = done == settings.steps or curves.since_best() >= patience
        if main and (done % settings.save_every == 0 or last):
            curves.write()  # first: what is ahead of the checkpoint will be forgotten
            save_checkpoint(checkpoint, done, weights, average, optimizer, begun_with)
        if on_step is not None:
            on_step(line)
    accelerator.wait_for_everyone()
    final = average if judge is None else load_file(folder / BEST)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(final[name])
    return student.eval()


def seed_student(student: Student, seed: int) -> None:
    """Draw the first weights again, so that they depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(student.decoder)(**student.decoder.settings)
        student.decoder.load_state_dict(fresh.state_dict())
        for name, weight in student.trained():
            if ".lora_A." in name:  # as peft draws them; B starts at zero
                nn.init.kaiming_uniform_(weight, a=math.sqrt(5))


def batch_loss(
    model: nn.Module, student: Student, batch: Batch, settings: DistillationSettings
) -> Tensor:
    """L = edge_weight * L_edge + reconstruction_weight * L_rec."""
    logits, output = model(batch.images, batch.features)
    device = logits.device
    edge_loss = EDGE_LOSSES[settings.edge_loss]
    loss = settings.edge_weight * edge_loss(
        logits, batch.target.to(device), batch.counts.to(device)
    )
    if settings.reconstruction_weight:
        decoded = student.reconstruct(output)
        images = batch.images.to(decoded.device)
        loss = loss + settings.reconstruction_weight * reconstruction_loss(decoded, images)
    return loss


@torch.no_grad()
def validation_loss(
    student: Student, examples: Sequence[Example], settings: DistillationSettings
) -> float:
    """The loss of the same crops of held-out photographs, whenever it is asked for."""
    student.decoder.eval()
    losses = [
        float(batch_loss(student, student, batch, settings))
        for number in range(_VALIDATION_BATCHES)
        for batch in [
            draw_batch(
                examples, settings, student.backbone.cell, settings.seed, _VALIDATION, number
            )
        ]
    ]
    student.decoder.train()
    return sum(losses) / len(losses)


def _rate(step: int, steps: int) -> float:
    cosine = (1 + math.cos(math.pi * step / steps)) / 2
    return min(1, (step + 1) / _WARM_UP) * (_LAST_RATE + (1 - _LAST_RATE) * cosine)


def _begun_with(
    settings: DistillationSettings,
    photographs: Sequence[Path],
    held_out: Sequence[Path],
    student: Student,
    cache: LabelCache,
    judge: Judge | None,
) -> str:
    def digest(paths: Sequence[Path]) -> str:
        found = blake2b(digest_size=8)
        for path in paths:
            found.update(path.read_bytes())
        return f"{len(paths)} photographs {found.hexdigest()}"

    return json.dumps(
        settings.describe()
        | {"photographs": digest(photographs), "held_out": digest(held_out)}
        | {"backbone": student.base, "looks": [look.made_with for look in cache.teacher.looks]}
        | ({} if judge is None else {"judge": judge.describe()}),
        sort_keys=True,
    )
