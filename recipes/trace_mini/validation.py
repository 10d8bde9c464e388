"""Validation while a model is trained, on composites of sprites that it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from PIL import Image
from torch import Tensor

from recipes.trace_mini.composites import visible_scene
from recipes.trace_mini.composites.sprites import Sprite
from recipes.trace_mini.images import CHECK
from recipes.trace_mini.settings import PretrainingSettings
from trace_edges.backbones import DiffusionBackbone
from trace_edges.drawing.visualize import contact_sheet, curve_image, grey_image
from trace_edges.files import write_atomically
from trace_edges.images import to_tensor
from trace_edges.metrics import EdgeProtocol, boundaries_from_labels
from trace_edges.metrics.counts import EdgeCounts, edge_counts
from trace_edges.metrics.edges import edge_scores, spread
from trace_edges.training_free.ridges import draw_edges
from trace_edges.training_free.trajectory import read_trajectory

_TOGETHER = 8  # scenes in one pass
_THRESHOLDS = 25
BANDS = ((0, 100), (100, 300), (300, 500), (500, 700), (700, 1000))
_DRAWS = 2  # of timestep and noise, of each scene in each band
_COLUMNS = 4  # of the sheet
_STRIDE = 40  # timesteps of a sampling step


@dataclass(frozen=True)
class Validation:
    """ABDiv of a model on the held-out scenes.

    Attributes:
        timesteps: read, ascending.
        f: of ODS, at each of them.
        chance: the same with the edges of the next scene.
        curve: change between consecutive maps, nats, mean over the scenes.
        half_edge: median of ABDiv over all scenes at each step, nats: E / (E + it) is 0.5 there.
    """

    timesteps: tuple[int, ...]
    f: tuple[float, ...]
    chance: tuple[float, ...]
    curve: tuple[float, ...]
    half_edge: tuple[float, ...]

    @property
    def best(self) -> int:
        """Index of the step with the highest F."""
        return int(np.argmax(self.f))

    def curves_line(self) -> dict[str, float]:
        """F and the change of every step, as they stand in the curves."""
        line = {f"F_{t}": f for t, f in zip(self.timesteps, self.f, strict=True)}
        changes = zip(self.timesteps[1:], self.curve, strict=True)
        return line | {f"KL_{t}": change for t, change in changes}

    def describe(self) -> dict[str, Any]:
        """As JSON holds it."""
        steps = [str(timestep) for timestep in self.timesteps]
        return {
            "best_timestep": self.timesteps[self.best],
            "F": dict(zip(steps, self.f, strict=True)),
            "chance": dict(zip(steps, self.chance, strict=True)),
            "KL": dict(zip(steps[1:], self.curve, strict=True)),
        }


class Validator:
    """Held-out scenes with the borders of their instances.

    Args:
        sprites: that are never learnt from, by name.
        settings: of the run.
        workers: processes that score.
    """

    def __init__(
        self, sprites: Mapping[str, Sprite], settings: PretrainingSettings, workers: int = 1
    ) -> None:
        side = settings.resolution
        scene = replace(settings.scene, height=side, width=side)
        drawn = [
            visible_scene(list(sprites), sprites, scene, (settings.seed, CHECK, number))
            for number in range(settings.check_scenes)
        ]
        self.scenes: list[UInt8[np.ndarray, "r r 3"]] = [image for _, image, _ in drawn]
        self.images: Float32[Tensor, "n 3 r r"] = torch.stack([*map(to_tensor, self.scenes)])
        self._truth: list[Bool[np.ndarray, "r r"]] = [
            boundaries_from_labels(ids) for _, _, ids in drawn
        ]
        self._protocol = EdgeProtocol(
            thresholds=_THRESHOLDS, max_distance=settings.tolerance / hypot(side, side)
        )
        self.seed, self._workers = settings.seed, workers

    def abdiv(self, backbone: DiffusionBackbone, chance: bool = False) -> Validation:
        """F of ABDiv at every step of the trajectory, and the KL curve.

        The latents are carried by inversion, as the pipeline does it. Edges are the ridges of the
        surface through E, graded by E / (E + e0) with one e0 for all scenes of a step.

        Args:
            backbone: what is validated.
            chance: measure that as well; without it, it is NaN.
        """
        timesteps = backbone.schedule.timesteps()
        readings = [
            read_trajectory(backbone, images, timesteps) for images in self.images.split(_TOGETHER)
        ]
        divergence = torch.cat([one.divergence for one in readings], dim=1).numpy()  # (S, N, h, w)
        curve = torch.cat([one.curve for one in readings]).mean(dim=0)  # (S - 1,)
        halves = [float(np.median(at)) for at in divergence]
        drawn = [self.draw(at, half) for at, half in zip(divergence, halves, strict=True)]
        others = [[*edges[1:], edges[0]] for edges in drawn]
        return Validation(
            timesteps,
            self.score(drawn),
            self.score(others) if chance else (float("nan"),) * len(timesteps),
            tuple(curve.tolist()),
            tuple(halves),
        )

    def draw(
        self, divergence: Float32[np.ndarray, "n h w"], half_edge: float
    ) -> list[Float32[np.ndarray, "r r"]]:
        """Thin edges in [0, 1] of each scene."""
        size = self.scenes[0].shape[:2]
        found = [draw_edges(raw, size, 1, max(half_edge, 1e-12)) for raw in divergence]
        return [np.where(ridges, edges, np.float32(0)) for edges, ridges in found]

    def score(self, drawn: Sequence[Sequence[Float32[np.ndarray, "r r"]]]) -> tuple[float, ...]:
        """F of ODS of each set of edges, which has one map for every scene."""
        pairs = [pair for edges in drawn for pair in zip(edges, self._truth, strict=True)]
        count = partial(_count, protocol=self._protocol)
        counts = list(spread(count, pairs, self._workers))  # of all sets in one go
        n = len(self._truth)
        sets = [counts[start : start + n] for start in range(0, len(counts), n)]
        return tuple(
            edge_scores({str(i): one for i, one in enumerate(each)}, self._protocol).ods
            for each in sets
        )

    @torch.no_grad()
    def denoising(self, backbone: DiffusionBackbone) -> dict[str, float]:
        """Mean squared error of the noise in each band of timesteps (first, behind the last): the
        same timesteps and noise whenever it is asked for.
        """
        generator = torch.Generator().manual_seed(self.seed)
        latents = torch.cat([backbone.encode(part) for part in self.images.split(_TOGETHER)])
        found = {}
        for first, end in BANDS:
            errors = []
            for timestep in np.linspace(first, end - 1, _DRAWS + 2)[1:-1].round().astype(int):
                noise = torch.randn(latents.shape, generator=generator).to(latents.device)
                noised = backbone.schedule.noised(latents, noise, int(timestep))
                for part, added in zip(
                    noised.split(_TOGETHER), noise.split(_TOGETHER), strict=True
                ):
                    output = backbone.predict(part, int(timestep))
                    errors.append(float(torch.mean((output.to(added) - added) ** 2)))
            found[f"{first}-{end}"] = float(np.mean(errors))
        return found


@torch.no_grad()
def draw_samples(
    backbone: DiffusionBackbone, resolution: int, count: int, seed: int
) -> UInt8[np.ndarray, "n r r 3"]:
    """Images from pure noise by deterministic DDIM; the noise is drawn on the CPU."""
    schedule, vae = backbone.schedule, backbone.vae
    side = resolution // (backbone.cell // backbone.patch)
    generator = torch.Generator().manual_seed(seed)
    shape = (count, vae.config.latent_channels, side, side)
    latents = torch.randn(shape, generator=generator).to(backbone.device)
    timesteps = schedule.timesteps(_STRIDE)[::-1]
    for timestep, to in pairwise(timesteps):
        latents = schedule.move(latents, backbone.predict(latents, timestep), timestep, to)
    levels = ((backbone.decode(latents).float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return levels.permute(0, 2, 3, 1).cpu().numpy()


def draw_sheet(
    backbone: DiffusionBackbone,
    validator: Validator,
    validation: Validation,
    resolution: int,
    path: Path,
) -> None:
    """A PNG: samples; held-out scenes; their edges at the best step; the KL curve."""
    best = validation.best
    timestep = validation.timesteps[best]
    images = validator.images[:_COLUMNS]
    reading = read_trajectory(backbone, images, validation.timesteps[: best + 1], start=best)
    edges = validator.draw(reading.divergence[0].numpy(), validation.half_edge[best])
    samples = draw_samples(backbone, resolution, _COLUMNS, validator.seed)
    rows = [
        [("sample", Image.fromarray(sample)) for sample in samples],
        [("held out", Image.fromarray(scene)) for scene in validator.scenes[:_COLUMNS]],
        [(f"ABDiv, t = {timestep}", grey_image(edge)) for edge in edges],
        [("KL curve", curve_image(
            validation.timesteps[1:], np.array(validation.curve), timestep, (420, 240)
        ))],
    ]  # fmt: skip
    with write_atomically(path) as temporary:
        contact_sheet(rows).save(temporary)


def _count(pair: tuple[np.ndarray, Bool[np.ndarray, "r r"]], protocol: EdgeProtocol) -> EdgeCounts:
    edges, truth = pair
    return edge_counts(edges, [truth], protocol)
