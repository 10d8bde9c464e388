"""The sheet of a validation: what the model dreams, and where it sees edges."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from recipes.trace_mini.judge import Judge, Judgement
from trace_edges.backbones import DiffusionBackbone
from trace_edges.drawing.visualize import contact_sheet, curve_image, grey_image
from trace_edges.files import write_atomically
from trace_edges.training_free.walk import walk

_COLUMNS = 4
_STRIDE = 40  # timesteps of a sampling step


@torch.no_grad()
def draw_samples(
    backbone: DiffusionBackbone, resolution: int, count: int, seed: int
) -> UInt8[np.ndarray, "n r r 3"]:
    """Pictures from pure noise by deterministic DDIM; the noise is drawn on the CPU."""
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
    backbone: DiffusionBackbone, judge: Judge, judgement: Judgement, resolution: int, path: Path
) -> None:
    """A PNG: samples; held-out scenes; their edges at the best step; the KL curve."""
    best = judgement.best
    timestep = judgement.timesteps[best]
    images = judge.images[:_COLUMNS]
    seen = walk(backbone, images, judgement.timesteps[: best + 1], start=best)
    edges = judge.draw(seen.divergence[0].numpy(), judgement.half_edge[best])
    samples = draw_samples(backbone, resolution, _COLUMNS, judge.seed)
    rows = [
        [("sample", Image.fromarray(sample)) for sample in samples],
        [("held out", Image.fromarray(picture)) for picture in judge.pictures[:_COLUMNS]],
        [(f"ABDiv, t = {timestep}", grey_image(edge)) for edge in edges],
        [("KL curve", curve_image(
            judgement.timesteps[1:], np.array(judgement.curve), timestep, (420, 240)
        ))],
    ]  # fmt: skip
    with write_atomically(path) as temporary:
        contact_sheet(rows).save(temporary)
