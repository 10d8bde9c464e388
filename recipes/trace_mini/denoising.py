"""The denoiser stage: epsilon prediction on the autoencoder's latents, without a condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import AutoencoderTiny, DDIMScheduler
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from recipes.trace_mini.denoisers import KINDS
from recipes.trace_mini.images import Batches, seeded
from recipes.trace_mini.settings import PretrainingSettings
from trace_edges.backbones import encode
from trace_edges.training import fit

STAGE = 3  # the entropy of what it is shown
READ = (0, 99, 299, 499, 699)  # timesteps whose F the curves draw


def make_scheduler() -> DDIMScheduler:
    """Scaled-linear betas from 0.00085 to 0.012 over 1,000 steps, epsilon prediction."""
    return DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
        set_alpha_to_one=False,
    )  # fmt: skip


def train_denoiser(
    denoiser: nn.Module,
    vae: AutoencoderTiny,
    batches: Batches,
    measure: Callable[[int], Mapping[str, float]],
    folder: Path,
    settings: PretrainingSettings,
    begun_with: str,
    accelerator: Accelerator,
    workers: int = 0,
    on_step: Callable[[Mapping[str, float]], object] | None = None,
) -> None:
    """Train it, or go on.

    Args:
        denoiser: of `settings.denoiser`, on the accelerator's device.
        vae: trained, and its latents measured.
        batches: images in [-1, 1].
        measure: (steps done) -> what validation says, called with the running average in place.
        folder: of the stage.
        settings: of the run.
        begun_with: see `fit`.
        accelerator: number type, gradient accumulation and devices.
        workers: processes that make the batches; 0: this one.
        on_step: called with what was written to the curves.
    """
    device, kind = accelerator.device, KINDS[settings.denoiser]
    config: Any = denoiser.config
    null = {name: tensor.to(device) for name, tensor in kind.condition(config).items()}
    alphas = make_scheduler().alphas_cumprod.to(device)
    weights = min_snr_weight(alphas, settings.min_snr)

    def loss_of(model: nn.Module, images: Tensor, number: int) -> Tensor:
        with torch.no_grad():
            latents = encode(vae, images)
        generator = seeded(device, settings.seed, STAGE, accelerator.process_index, number)
        timesteps = torch.randint(len(alphas), latents.shape[:1], generator=generator,
                                  device=device)  # fmt: skip
        noise = torch.randn(latents.shape, generator=generator, device=device)
        predicted = kind.predict(model, noised(latents, noise, timesteps, alphas), timesteps, null)
        return torch.mean(weights[timesteps] * denoising_errors(predicted, noise))

    fit(
        denoiser, settings.training, folder, begun_with,
        lambda start, stop: batches.loader(start, stop, workers), loss_of, measure, accelerator,
        scores=[f"F_{timestep}" for timestep in READ], on_step=on_step,
    )  # fmt: skip
    denoiser.requires_grad_(False).eval()


def min_snr_weight(alphas_cumprod: Float[Tensor, " b"], gamma: float) -> Float[Tensor, " b"]:
    """min(SNR, gamma) / SNR with SNR = a / (1 - a): the weight, in (0, 1], of the error of epsilon
    (Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", ICCV 2023).

    Steps with hardly any noise, whose noise is hard to see and matters least, count less.
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=gamma) / snr


def noised(
    latents: Float32[Tensor, "b c h w"],
    noise: Float32[Tensor, "b c h w"],
    timesteps: Int[Tensor, " b"],
    alphas_cumprod: Float[Tensor, " t"],
) -> Float32[Tensor, "b c h w"]:
    """q(x_t | x_0), every latent at its own timestep."""
    a = alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)  # (B, 1, 1, 1)
    return a.sqrt() * latents + (1 - a).sqrt() * noise


def denoising_errors(
    predicted: Float[Tensor, "b c h w"], noise: Float32[Tensor, "b c h w"]
) -> Float32[Tensor, " b"]:
    """Mean squared error of the predicted noise, of each latent."""
    return torch.mean((predicted.float() - noise) ** 2, dim=(1, 2, 3))
