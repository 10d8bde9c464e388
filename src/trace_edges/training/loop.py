"""A stage of training that goes on where it was stopped, to the bit.

In its folder: checkpoint.safetensors, curves.jsonl and curves.png.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from trace_edges.training.average import averaged, follow_weights
from trace_edges.training.checkpoint import load_checkpoint, save_checkpoint
from trace_edges.training.curves import Curves

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Stage:
    """How a model is trained, by AdamW.

    Attributes:
        batch_size, steps, learning_rate, weight_decay: of AdamW.
        warm_up: steps in which the rate rises to `learning_rate`; it falls to 0 along a line over
            the last half.
        ema: at most so much of the running average of weights stays from step to step.
        validate_every, save_every: steps.
    """

    batch_size: int
    steps: int
    learning_rate: float
    weight_decay: float = 1e-2
    warm_up: int = 20
    ema: float = 0.99
    validate_every: int = 100
    save_every: int = 50

    def __post_init__(self) -> None:
        counted = ("batch_size", "steps", "warm_up", "validate_every", "save_every")
        if wrong := [name for name in counted if getattr(self, name) < 1]:
            raise ValueError(f"{wrong[0]} must be 1 or more, not {getattr(self, wrong[0])}")

    def rate(self, step: int) -> float:
        """The share of the learning rate at this step, counted from 0."""
        return min(1, (step + 1) / self.warm_up) * min(1, 2 * (1 - step / self.steps))


def fit(
    model: nn.Module,
    stage: Stage,
    folder: Path,
    begun_with: str,
    batches: Callable[[int, int], Iterable[Any]],
    loss_of: Callable[[nn.Module, Any, int], Tensor],
    measure: Callable[[int], Mapping[str, float]],
    accelerator: Accelerator,
    *,
    scores: Sequence[str] = (),
    on_step: Callable[[Mapping[str, float]], object] | None = None,
) -> None:
    """Train all weights of a model; at the end it has their running average.

    Args:
        model: with its first weights, on the accelerator's device; called as it is or, where there
            are several processes, in torch's wrapper.
        stage: how.
        folder: of the stage; what lies there goes on.
        begun_with: JSON that must be equal to go on.
        batches: (first, end) -> batches by number, counted from 0. A step takes as many of them as
            the accelerator accumulates gradients.
        loss_of: (model, batch, its number) -> the loss.
        measure: (steps done) -> what is written to the curves beside the loss; called at
            validations while the model has its running average.
        accelerator: number type, gradient accumulation and devices.
        scores: what the curves draw on an axis of its own.
        on_step: called with what was written to the curves.

    Raises:
        FileError: the folder holds a run with other settings or pictures.
        MissingExtraError: matplotlib is not installed.
    """
    weights = dict(model.named_parameters())
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = torch.optim.AdamW(
        weights.values(), lr=stage.learning_rate, weight_decay=stage.weight_decay
    )
    called = accelerator.prepare(model) if accelerator.num_processes > 1 else model
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, start = folder / CHECKPOINT, 0
    if checkpoint.exists():
        start = load_checkpoint(checkpoint, weights, average, optimizer, begun_with)
    main, parts = accelerator.is_main_process, accelerator.gradient_accumulation_steps
    curves = Curves(folder, start, main, scores)
    coming = iter(batches(start * parts, stage.steps * parts)) if start < stage.steps else iter(())
    for step in range(start, stage.steps):
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * stage.rate(step)
        losses = []
        for part in range(parts):
            with accelerator.autocast():
                loss = loss_of(called, next(coming), step * parts + part)
            accelerator.backward(loss / parts)
            losses.append(loss.detach())
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        follow_weights(average, weights, step, stage.ema)
        done, last = step + 1, step + 1 == stage.steps
        line = {"step": done, "loss": float(torch.stack(losses).mean())}
        if main and (done % stage.validate_every == 0 or last):
            with averaged(weights, average):
                line |= measure(done)
        curves.add(line)
        if main and (done % stage.save_every == 0 or last):
            curves.write()  # first: what is ahead of the checkpoint will be forgotten
            save_checkpoint(checkpoint, done, weights, average, optimizer, begun_with)
        if on_step is not None:
            on_step(line)
    accelerator.wait_for_everyone()
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(average[name])
