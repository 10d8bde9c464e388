"""What the autoencoder and the denoiser are trained by."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor


def autoencoder_loss(
    decoded: Float[Tensor, "b 3 h w"], images: Float[Tensor, "b 3 h w"]
) -> Float32[Tensor, ""]:
    """L1 + 2 MSE + 0.7 L1 of the gradient, of pixels in [-1, 1].

    The gradient (differences of neighbours, down and across, each a mean) is what keeps borders
    sharp in the latents.
    """
    error = decoded.float() - images.float()
    down, across = error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]
    gradient = down.abs().mean() + across.abs().mean()
    return error.abs().mean() + 2 * error.square().mean() + 0.7 * gradient


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
