"""A stage of training that goes on where it was stopped, to the bit.

In its folder: checkpoint.safetensors, curves.jsonl and curves.png, and best.safetensors where a
score says which weights are the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from annotated_types import Interval
from safetensors.torch import load_file
from torch import Tensor, nn

from trace_edges.checks import Share, Steps, check_fields
from trace_edges.training.checkpoint import Weights, load_checkpoint, save_checkpoint, save_weights
from trace_edges.training.curves import Curves

BatchSize = Annotated[int, Interval(ge=1, le=65536)]
Rate = Annotated[float, Interval(gt=0, le=100)]

CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"


@dataclass(frozen=True)
class Stage:
    """Settings of a training with AdamW.

    Attributes:
        batch_size, steps, learning_rate, weight_decay: of AdamW.
        warm_up: steps in which the rate rises to `learning_rate`.
        ema: at most so much of the running average of weights stays from step to step.
        validate_every, save_every: steps.
        validate_first: after the first step as well, to see where it started.
    """

    batch_size: BatchSize
    steps: Steps
    learning_rate: Rate
    weight_decay: Annotated[float, Interval(ge=0, le=100)] = 1e-2
    warm_up: Steps = 20
    ema: Share = 0.99
    validate_every: Steps = 100
    save_every: Steps = 50
    validate_first: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def validates(self, done: int) -> bool:
        """Tell whether there is a validation after so many steps."""
        first = self.validate_first and done == 1
        return first or done % self.validate_every == 0 or done == self.steps


@dataclass(frozen=True)
class Best:
    """A run that ends with its best weights, not with its last.

    Attributes:
        score: of what is measured; the highest is the best.
        patience: the run ends after so many validations without a higher one.
    """

    score: str
    patience: int


def falling_line(stage: Stage, step: int) -> float:
    """Give the share of the learning rate at a step, counted from 0: whole for half of the run,
    then down to nothing along a line.
    """
    return min(1, (step + 1) / stage.warm_up) * min(1, 2 * (1 - step / stage.steps))


def falling_cosine(stage: Stage, step: int) -> float:
    """Give the share of the learning rate at a step, from 0: a cosine down to a fiftieth."""
    cosine = (1 + math.cos(math.pi * step / stage.steps)) / 2
    return min(1, (step + 1) / stage.warm_up) * (0.02 + 0.98 * cosine)


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
    rate: Callable[[Stage, int], float] = falling_line,
    scores: Sequence[str] = (),
    best: Best | None = None,
    on_step: Callable[[Mapping[str, float]], object] | None = None,
) -> None:
    """Train a model; at the end its weights are their running average.

    Args:
        model: with its first weights, on the device that it is trained on; those that require a
            gradient are trained. It is called as it is or, where there are several processes, in
            torch's wrapper.
        stage: how.
        folder: of the stage; what lies there goes on.
        begun_with: JSON that must be equal to go on.
        batches: (first, end) -> batches by number, counted from 0. A step takes as many of them as
            the accelerator accumulates gradients.
        loss_of: (model, batch, its number) -> the loss.
        measure: (steps done) -> what is written to the curves beside the loss; called at
            validations, in the main process, while the model has its running average.
        accelerator: number type, gradient accumulation, devices and trackers.
        rate: (stage, step) -> the share of the learning rate.
        scores: what the curves draw on an axis of its own.
        best: the average is that of the validation with the highest score; None: the last one.
        on_step: called with what was written to the curves.

    Raises:
        FileError: the folder holds a run with other settings or photographs.
        MissingExtraError: matplotlib is not installed.
    """
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = torch.optim.AdamW(
        weights.values(), lr=stage.learning_rate, weight_decay=stage.weight_decay
    )
    # The weights are where the caller wants them; the accelerator adds the scale of float16.
    optimizer = accelerator.prepare_optimizer(optimizer, device_placement=False)
    accelerator.step = 0  # of the batches that make a step
    called = accelerator.prepare(model) if accelerator.num_processes > 1 else model
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, start = folder / CHECKPOINT, 0
    if checkpoint.exists():
        start = load_checkpoint(
            checkpoint, weights, average, optimizer, begun_with, accelerator.scaler
        )
    main, parts = accelerator.is_main_process, accelerator.gradient_accumulation_steps
    curves = Curves(folder, start, main, scores)
    coming = iter(batches(start * parts, stage.steps * parts)) if start < stage.steps else iter(())
    for step in range(start, stage.steps):
        if best is not None and curves.since_best(best.score) >= best.patience:
            break
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * rate(stage, step)
        losses = []
        for part in range(parts):
            with accelerator.accumulate(called):
                with accelerator.autocast():
                    loss = loss_of(called, next(coming), step * parts + part)
                accelerator.backward(loss)  # which divides by the parts
                losses.append(loss.detach())
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(weights.values(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
        follow_weights(average, weights, step, stage.ema)
        done, last = step + 1, step + 1 == stage.steps
        line = {"step": done, "loss": float(torch.stack(losses).mean())}
        if stage.validates(done):
            with averaged(weights, average):
                (measured,) = broadcast_object_list([dict(measure(done)) if main else {}])
            line |= measured
        curves.add(line)
        accelerator.log({name: line[name] for name in line if name != "step"}, step=done)
        if best is not None and best.score in line:
            since = curves.since_best(best.score)
            last = last or since >= best.patience
            if main and since == 0:
                save_weights(folder / BEST, average)
        if main and (done % stage.save_every == 0 or last):
            curves.write()  # first: what is ahead of the checkpoint will be forgotten
            save_checkpoint(
                checkpoint, done, weights, average, optimizer, begun_with, accelerator.scaler
            )
        if on_step is not None:
            on_step(line)
    accelerator.wait_for_everyone()
    final = average if best is None else load_file(folder / BEST)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(final[name])


@torch.no_grad()
def follow_weights(
    average: Weights, weights: Mapping[str, nn.Parameter], step: int, most: float
) -> None:
    """Take one step of the running average, of which at most the share `most` stays; at first it
    forgets fast, since it starts from random weights.
    """
    share = min(most, (1 + step) / (10 + step))
    for name, weight in weights.items():
        average[name].lerp_(weight, 1 - share)


@contextmanager
def averaged(weights: Mapping[str, nn.Parameter], average: Weights) -> Iterator[None]:
    """Within the context, the model has the running average of its weights."""
    own = {name: weight.detach().clone() for name, weight in weights.items()}
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(average[name])
        try:
            yield
        finally:
            for name, weight in weights.items():
                weight.copy_(own[name])
