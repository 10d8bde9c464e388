"""The trajectory from a clean latent to noise, and what its self-attention shows (section 3.2).

The maps themselves, (N, N) each, are let go at once: two are alive at any time, besides the block
of rows that is being worked on. What the pipeline, its ablations and its drawings need of a step is
small: the divergence on the grid and one number for the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from trace_edges.backbones import Backbone
from trace_edges.sources import Step
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import map_change
from trace_edges.training_free.settings import Criterion, Trajectory


@dataclass(frozen=True)
class TrajectoryReading:
    """What the S steps of a trajectory that were read showed of B images.

    Attributes:
        timesteps: the S steps, ascending.
        divergence: (S, B, h, w) ABDiv of every step, nats.
        curve: (B, S - 1) change between consecutive maps; KL(SA(X_tprev) || SA(X_t)) in nats, or
            another criterion.
    """

    timesteps: tuple[int, ...]
    divergence: Float32[Tensor, "s b h w"]
    curve: Float32[Tensor, "b s1"]


def inversion(
    backbone: Backbone,
    latents: Float[Tensor, "b c h w"],
    timesteps: Sequence[int],
    start: int = 0,
) -> Iterator[Step]:
    """Deterministic DDIM inversion (the paper's): the model's own noise carries x_0 to x_t.

    `latents` are clean (t = 0); `timesteps` ascend. The latent stays in float32. Attention is read
    from the `start`-th step on; a plain pass, which is much cheaper, goes through the ones before.
    """
    for index, timestep in enumerate(timesteps):
        if index < start:
            output = backbone.predict(latents, timestep)
        else:
            output, attention, grid = backbone.attend(latents, timestep)
            yield Step(timestep, attention, grid)
            del attention  # the consumer decides how long a map lives
        if index + 1 < len(timesteps):
            latents = backbone.schedule.move(latents, output, timestep, timesteps[index + 1])
        if index + 1 == start:  # of captured steps the maps tell
            backbone.check_finite(latents, f"the latent before t = {timesteps[start]}")


def noise(
    backbone: Backbone,
    latents: Float[Tensor, "b c h w"],
    timesteps: Sequence[int],
    seed: int,
) -> Iterator[Step]:
    """x_t = q(x_t | x_0) with one fixed noise for all steps and images: no step needs another.

    The noise is drawn on the CPU, so that a seed means the same on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    fixed = torch.randn((1, *latents.shape[1:]), generator=generator, dtype=torch.float32)
    fixed = fixed.to(latents.device)
    for timestep in timesteps:
        noised = backbone.schedule.noised(latents, fixed, timestep)
        _, attention, grid = backbone.attend(noised, timestep)
        yield Step(timestep, attention, grid)
        del attention


@torch.inference_mode()
def read_trajectory(
    backbone: Backbone,
    images: Float[Tensor, "b 3 H W"],
    timesteps: Sequence[int],
    trajectory: Trajectory = "inversion",
    seed: int = 0,
    *,
    start: int = 0,
    criterion: Criterion = "kl",
    on_step: Callable[[Step, Float32[Tensor, " b"] | None], None] | None = None,
    **divergence: Any,
) -> TrajectoryReading:
    """Reads the trajectory from the clean latents of `images` (in [-1, 1]) through `timesteps`
    (ascending).

    Args:
        seed: of the fixed noise; without effect on `inversion`, which draws none.
        start: read the `start`-th step and those after it; the ones before are only gone through.
        criterion: how the change between consecutive maps is measured (`map_change`).
        on_step: called with every step while its attention is alive, and with the change (B,)
            since the step before, where there is one.
        divergence: passed on to `boundary_divergence` (neighbours, symmetric, border).
    """
    latents = backbone.encode(images)
    backbone.check_finite(latents, "the latent of its VAE")
    if trajectory == "inversion":
        steps = inversion(backbone, latents, timesteps, start)
    elif trajectory == "noise":
        steps = noise(backbone, latents, timesteps[start:], seed)
    else:
        raise ValueError(f"unknown trajectory {trajectory!r}; known: inversion, noise")
    maps: list[Tensor] = []
    curve: list[Tensor] = []
    previous: Tensor | None = None
    for step in steps:
        maps.append(boundary_divergence(step.attention, step.grid, **divergence).cpu())
        if previous is not None:
            curve.append(map_change(previous, step.attention, step.grid, criterion).cpu())
        if on_step is not None:
            on_step(step, None if previous is None else curve[-1])
        previous = step.attention
    changes = torch.stack(curve, dim=1) if curve else torch.zeros(len(images), 0)
    return TrajectoryReading(tuple(timesteps[start:]), torch.stack(maps), changes)


class KeptSteps:
    """Keeps, for each image, the step after its largest change so far: at the end that is t*.

    It holds the attention of one step for each image, beside the two that a trajectory has alive.

    Args:
        first: ignore so many first changes, as `emergence_index` does.
        last: keep the last step, whatever the changes were.
    """

    def __init__(self, first: int = 0, *, last: bool = False) -> None:
        self.steps: list[Step] = []
        self._first, self._last, self._changes = first, last, 0
        self._largest: list[float] = []

    def __call__(self, step: Step, change: Float32[Tensor, " b"] | None) -> None:
        images = len(step.attention)
        if self._last or change is None:
            self.steps, self._largest = [step] * images, [float("-inf")] * images
            return
        self._changes += 1
        if self._changes <= self._first:
            return
        for image, value in enumerate(change.tolist()):
            if value > self._largest[image]:  # the first of equal ones, as argmax takes it
                self._largest[image], self.steps[image] = value, step

    def __getitem__(self, image: int) -> Step:
        """The step of one image, with its attention alone (B = 1)."""
        step = self.steps[image]
        return Step(step.timestep, step.attention[image : image + 1], step.grid)
