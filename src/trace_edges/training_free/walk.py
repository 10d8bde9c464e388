"""One trajectory, read as it goes: ABDiv of every step, and the change between consecutive ones.

The maps themselves, (N, N) each, are let go at once: two are alive at any time, besides the block
of rows that is being worked on. Everything the pipeline, its ablations and its pictures need of a
step is small: the divergence on the grid and one number for the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from trace_edges.backbones import Backbone
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import Criterion, map_change
from trace_edges.training_free.trajectory import Step, Trajectory, inversion, noise


@dataclass(frozen=True)
class Walk:
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


@dataclass(frozen=True)
class Survey:
    """What one walk showed when it was read in several ways.

    Attributes:
        timesteps: the S steps, ascending.
        divergences: (S, B, h, w) ABDiv of every step, one for each set of options asked for.
        curves: (B, S - 1) change between consecutive maps, by criterion.
    """

    timesteps: tuple[int, ...]
    divergences: tuple[Float32[Tensor, "s b h w"], ...]
    curves: Mapping[Criterion, Float32[Tensor, "b s1"]]


def walk(
    backbone: Backbone,
    images: Float[Tensor, "b 3 H W"],
    timesteps: Sequence[int],
    trajectory: Trajectory = "inversion",
    seed: int = 0,
    *,
    start: int = 0,
    criterion: Criterion = "kl",
    on_step: Callable[[Step], None] | None = None,
    **divergence: Any,
) -> Walk:
    """Walk from the clean latents of `images` (in [-1, 1]) through `timesteps` (ascending).

    Args:
        seed: of the fixed noise; without effect on `inversion`, which draws none.
        start: read the `start`-th step and those after it; the ones before are only gone through.
        criterion: how the change between consecutive maps is measured (`map_change`).
        on_step: called with every step while its attention is alive, and must not keep it.
        divergence: passed on to `boundary_divergence` (neighbours, symmetric, border).
    """
    seen = survey(
        backbone, images, timesteps, trajectory, seed,
        start=start, criteria=[criterion], divergences=[divergence], on_step=on_step,
    )  # fmt: skip
    return Walk(seen.timesteps, seen.divergences[0], seen.curves[criterion])


@torch.inference_mode()
def survey(
    backbone: Backbone,
    images: Float[Tensor, "b 3 H W"],
    timesteps: Sequence[int],
    trajectory: Trajectory = "inversion",
    seed: int = 0,
    *,
    start: int = 0,
    criteria: Sequence[Criterion],
    divergences: Sequence[Mapping[str, Any]],
    on_step: Callable[[Step], None] | None = None,
) -> Survey:
    """Walk once, as `walk` does, and read every map by all `criteria` and sets of `divergences`."""
    latents = backbone.encode(images)
    if trajectory == "inversion":
        steps = inversion(backbone, latents, timesteps, start)
    elif trajectory == "noise":
        steps = noise(backbone, latents, timesteps[start:], seed)
    else:
        raise ValueError(f"unknown trajectory {trajectory!r}; known: inversion, noise")
    maps: list[list[Tensor]] = [[] for _ in divergences]  # of each set of options, by step
    changes: dict[Criterion, list[Tensor]] = {criterion: [] for criterion in criteria}
    previous: Tensor | None = None
    for step in steps:
        for found, options in zip(maps, divergences, strict=True):
            found.append(boundary_divergence(step.attention, step.grid, **options).cpu())
        if previous is not None:
            for criterion, curve in changes.items():
                change = map_change(previous, step.attention, step.grid, criterion)
                curve.append(change.cpu())
        if on_step is not None:
            on_step(step)
        previous = step.attention
    nothing = torch.zeros(len(images), 0)
    curves = {c: torch.stack(curve, dim=1) if curve else nothing for c, curve in changes.items()}
    return Survey(tuple(timesteps[start:]), tuple(torch.stack(found) for found in maps), curves)
