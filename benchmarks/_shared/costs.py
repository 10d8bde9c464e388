"""The cost of a named checkpoint, found out without its weights: operations, and what to run."""

from __future__ import annotations

import diffusers
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.listed import family_of_checkpoint
from trace_edges.backbones.sizing import PlainValues

_TIMESTEP = 100  # any does


def empty_backbone(name: str, dtype: torch.dtype = torch.bfloat16) -> DiffusionBackbone:
    """A named checkpoint without its weights, on the meta device.

    Args:
        name: of `CHECKPOINTS`.
    """
    family = family_of_checkpoint(name)
    schedule = family.schedule(family.noise_scheduler(name))
    with torch.device("meta"):
        denoiser = getattr(diffusers, family.denoiser_class)(**family.denoiser_config(name))
        vae = getattr(diffusers, family.autoencoder.name)(**family.vae_config)
        for model, kind in ((denoiser, dtype), (vae, family.vae_dtype(dtype))):
            nn.Module.to(model, kind)  # diffusers' own `to` would warn
        shapes = family.condition(denoiser.config)
        null = {key: torch.zeros(shape, dtype=dtype) for key, shape in shapes.items()}
    return DiffusionBackbone(name, family, denoiser, vae, schedule, null)


@torch.no_grad()
def flops(backbone: DiffusionBackbone, size: tuple[int, int], *, capture: bool = False) -> int:
    """Operations (two for a multiply and add) of one pass over one image.

    Args:
        backbone: on the meta device.
        size: (H, W) in px.
        capture: also those of the attention maps.
    """
    h, w = (side // backbone.cell * backbone.patch for side in size)
    latents = torch.zeros(1, backbone.channels, h, w, device="meta")
    run = backbone.attend if capture else backbone.predict
    with PlainValues(), FlopCounterMode(display=False) as counter:
        run(latents, _TIMESTEP)
    return counter.get_total_flops()
