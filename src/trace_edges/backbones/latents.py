"""Image to latent and back by four rules that hold for every diffusers autoencoder.

1. The latent is `.latent_dist.mode()` (AutoencoderKL) or `.latents` (AutoencoderTiny).
2. Normalised: (z - (mean or shift or 0)) * (scaling or 1) / (std or 1), all from the VAE's config.
3. The VAE runs in its own dtype; the latent comes back in float32.
4. The VAE says how many pixels make a latent cell.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor


def encode(vae: Any, images: Float[Tensor, "b 3 H W"]) -> Float32[Tensor, "b c h w"]:
    """Normalised latents of images in [-1, 1]; H and W multiples of the VAE's factor."""
    dtype = weights_dtype(vae)
    encoded = vae.encode(images.to(execution_device(vae), dtype))
    latents = encoded.latent_dist.mode() if "latent_dist" in encoded else encoded.latents
    mean, scale = _normalisation(vae)
    return (latents.float() - mean.to(latents.device)) * scale.to(latents.device)


def denormalise(vae: Any, latents: Float[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
    """The inverse of the normalisation: what `vae.decode` expects."""
    mean, scale = _normalisation(vae)
    return latents.float() / scale.to(latents.device) + mean.to(latents.device)


def execution_device(model: Any) -> torch.device:
    """Where a model runs: where its weights lie, if accelerate does not move them there first."""
    hook = getattr(model, "_hf_hook", None)
    moved_to = getattr(hook, "execution_device", None)
    return next(model.parameters()).device if moved_to is None else torch.device(moved_to)


def weights_dtype(model: Any) -> torch.dtype:
    """Of the weights that are floating; quantised ones are packed into integers."""
    return next(p.dtype for p in model.parameters() if p.is_floating_point())


def pixels_per_latent(vae: Any) -> int:
    """Image pixels along a side of one latent cell (8 for every VAE of the paper)."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def _normalisation(vae: Any) -> tuple[Float32[Tensor, "#c 1 1"], Float32[Tensor, "#c 1 1"]]:
    config = vae.config
    mean = config.get("latents_mean") or config.get("shift_factor") or 0.0
    std = config.get("latents_std") or 1.0
    scaling = config.get("scaling_factor") or 1.0
    return _column(mean), scaling / _column(std)


def _column(value: float | list[float]) -> Float32[Tensor, "#c 1 1"]:
    return torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1, 1)  # (C or 1, 1, 1)
