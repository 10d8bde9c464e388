"""One trajectory, read as it goes: ABDiv of every step and KL between consecutive ones.

The maps themselves, (N, N) each, are let go at once: two are alive at any time, besides the block
of rows that is being worked on. Everything the pipeline, its ablations and its pictures need of a
step is small: the divergence on the grid and one number for the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from trace_edges.backbones import DiffusionBackbone
from trace_edges.divergence import boundary_divergence
from trace_edges.emergence import map_divergence
from trace_edges.trajectory import Step, Trajectory, inversion, noise


@dataclass(frozen=True)
class Walk:
    """What a trajectory of S steps showed of B images.

    Attributes:
        timesteps: the S steps, ascending.
        divergence: (S, B, h, w) ABDiv of every step, nats.
        curve: (B, S - 1) KL(SA(X_tprev) || SA(X_t)), nats.
    """

    timesteps: tuple[int, ...]
    divergence: Float32[Tensor, "s b h w"]
    curve: Float32[Tensor, "b s1"]


@torch.inference_mode()
def walk(
    backbone: DiffusionBackbone,
    images: Float[Tensor, "b 3 H W"],
    timesteps: Sequence[int],
    trajectory: Trajectory = "inversion",
    seed: int = 0,
    *,
    on_step: Callable[[Step], None] | None = None,
    **divergence: Any,
) -> Walk:
    """Walk from the clean latents of `images` (in [-1, 1]) through `timesteps` (ascending).

    Args:
        seed: of the fixed noise; without effect on `inversion`, which draws none.
        on_step: called with every step while its attention is alive, and must not keep it.
        divergence: passed on to `boundary_divergence` (neighbours, symmetric, border).
    """
    latents = backbone.encode(images)
    if trajectory == "inversion":
        steps = inversion(backbone, latents, timesteps)
    elif trajectory == "noise":
        steps = noise(backbone, latents, timesteps, seed)
    else:
        raise ValueError(f"unknown trajectory {trajectory!r}; known: inversion, noise")
    divergences, changes = [], []
    previous: Tensor | None = None
    for step in steps:
        divergences.append(boundary_divergence(step.attention, step.grid, **divergence).cpu())
        if previous is not None:
            changes.append(map_divergence(previous, step.attention).cpu())
        if on_step is not None:
            on_step(step)
        previous = step.attention
    curve = torch.stack(changes, dim=1) if changes else torch.zeros(len(images), 0)
    return Walk(tuple(timesteps), torch.stack(divergences), curve)
