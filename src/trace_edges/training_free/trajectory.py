"""Walk a clean latent towards noise and read the self-attention at every step (section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from trace_edges.attention import Grid
from trace_edges.backbones import Backbone

Trajectory = Literal["inversion", "noise"]


@dataclass(frozen=True)
class Step:
    """The self-attention SA(X_t) of one step; `attention` (B, N, N) has rows that sum to 1."""

    timestep: int
    attention: Float32[Tensor, "b n n"]
    grid: Grid


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
    fixed = torch.randn((1, *latents.shape[1:]), generator=generator).to(latents.device)
    for timestep in timesteps:
        noised = backbone.schedule.noised(latents, fixed, timestep)
        _, attention, grid = backbone.attend(noised, timestep)
        yield Step(timestep, attention, grid)
        del attention
