"""Image to latent and back, by rules that hold for every autoencoder of diffusers.

1. The latent is `.latent_dist.mode()`, or `.latents` (AutoencoderTiny).
2. Normalised: (z - mean) * scale, both kept with the VAE.
3. The VAE runs in its own dtype, whatever autocast says; the latent comes back in float32.
4. The VAE's config gives how many pixels make a latent cell.

`Autoencoder` has all in which its kinds differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from trace_edges.attention import without_autocast

Normalisation = tuple[Float32[Tensor, "#c 1 1"], Float32[Tensor, "#c 1 1"]]


def normalisation_of_config(vae: Any) -> Normalisation:
    """Mean and standard deviation, else shift and scaling, from the config."""
    config = vae.config
    mean = config.get("latents_mean") or config.get("shift_factor") or 0.0
    std = config.get("latents_std") or 1.0
    scaling = config.get("scaling_factor") or 1.0
    return _column(mean), scaling / _column(std)


@dataclass(frozen=True)
class Autoencoder:
    """One kind of autoencoder.

    Attributes:
        name: of its class in diffusers.
        normalisation: (vae) -> mean and scale of every channel, after packing.
        pixels: (vae) -> image pixels along a side of one latent cell.
        packing: p x p latents are normalised as channels of one; 1: each by its own channels.
        video: it takes videos; an image is a video of one frame.
    """

    name: str
    normalisation: Callable[[Any], Normalisation] = normalisation_of_config
    pixels: Callable[[Any], int] = lambda vae: 2 ** (len(vae.config.block_out_channels) - 1)
    packing: int = 1
    video: bool = False


KL = Autoencoder("AutoencoderKL")  # and AutoencoderTiny


def encode(
    vae: Any, images: Float[Tensor, "b 3 H W"], kind: Autoencoder = KL
) -> Float32[Tensor, "b c h w"]:
    """Normalised latents of images in [-1, 1]; H and W multiples of the VAE's factor."""
    images = images.to(execution_device(vae), weights_dtype(vae))
    with without_autocast(images.device):  # SDXL's overflows in float16
        encoded = vae.encode(images.unsqueeze(2) if kind.video else images)  # (B, 3, 1, H, W)
    latents = encoded.latent_dist.mode() if "latent_dist" in encoded else encoded.latents
    latents = latents.squeeze(2) if kind.video else latents  # (B, C, 1, h, w) -> (B, C, h, w)
    packed, mean, scale = _packed(vae, latents, kind)
    return pixel_shuffle((packed - mean) * scale, kind.packing)


def denormalise(
    vae: Any, latents: Float[Tensor, "b c h w"], kind: Autoencoder = KL
) -> Float32[Tensor, "b c h w"]:
    """The inverse of the normalisation: what `vae.decode` expects."""
    packed, mean, scale = _packed(vae, latents, kind)
    return pixel_shuffle(packed / scale + mean, kind.packing)


def decode(
    vae: Any, latents: Float[Tensor, "b c h w"], kind: Autoencoder = KL
) -> Float[Tensor, "b 3 H W"]:
    """Normalised latents back to images, about in [-1, 1]."""
    latents = denormalise(vae, latents, kind).to(execution_device(vae), weights_dtype(vae))
    with without_autocast(latents.device):
        images = vae.decode(latents.unsqueeze(2) if kind.video else latents).sample
    return images.squeeze(2) if kind.video else images  # (B, 3, 1, H, W) -> (B, 3, H, W)


def _packed(vae: Any, latents: Tensor, kind: Autoencoder) -> tuple[Tensor, Tensor, Tensor]:
    """Latents as they are normalised, with mean and scale."""
    mean, scale = (t.to(latents.device) for t in kind.normalisation(vae))
    return pixel_unshuffle(latents.float(), kind.packing), mean, scale


def execution_device(model: Any) -> torch.device:
    """Device a model runs on: that of its weights, if accelerate does not move them elsewhere."""
    hook = getattr(model, "_hf_hook", None)
    moved_to = getattr(hook, "execution_device", None)
    return next(model.parameters()).device if moved_to is None else torch.device(moved_to)


def weights_dtype(model: Any) -> torch.dtype:
    """Number type of the weights that are floating; quantised ones are packed into integers."""
    return next(p.dtype for p in model.parameters() if p.is_floating_point())


def default_dtype(device: torch.device) -> torch.dtype:
    """The number type that a device runs large models in: float32 on a CPU, elsewhere half of it.

    bfloat16 has the range of float32; CUDA devices before Ampere compute in it by detours only, and
    macOS before version 14 does not know it.
    """
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and torch.version.hip is None:
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    return torch.bfloat16 if has_bfloat16(device) else torch.float16


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16, be it slowly."""
    try:
        torch.ones(1, dtype=torch.bfloat16, device=device).add_(1)
    except (RuntimeError, TypeError):
        return False
    return True


def _column(value: float | list[float] | Tensor) -> Float32[Tensor, "#c 1 1"]:
    return torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1, 1)  # (C or 1, 1, 1)
