"""Noise schedules, moved by hand: how a latent gets from one noise level to the next.

diffusers' DDIMInverseScheduler evaluates the model on x_{t-100} with label t, so a map captured
in its loop belongs to no noise level. These few lines keep latent and label together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Float64
from torch import Tensor

Latents = Float[Tensor, "b c h w"]


@dataclass(frozen=True)
class DDPMSchedule:
    """x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise, with a_t the cumulative product of the alphas.

    Attributes:
        alphas_cumprod: (T,) a_t, falling from almost 1 to almost 0.
        prediction_type: what the denoiser's output is.
    """

    alphas_cumprod: Float64[Tensor, " t"]
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"

    def __post_init__(self) -> None:
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise ValueError(f"prediction type {self.prediction_type!r} is not supported; "
                             "known: epsilon, v_prediction")  # fmt: skip

    def timesteps(self, stride: int = 100) -> tuple[int, ...]:
        """Tau = 0, 99, 199, ..., 999 for a stride of 100 and 1,000 training steps."""
        steps = len(self.alphas_cumprod)
        return (0, *range(max(1, stride - 1), steps, stride))

    def noised(self, clean: Latents, noise: Float[Tensor, "#b c h w"], timestep: int) -> Latents:
        """q(x_t | x_0) with this noise, one for each image or one for all."""
        a = self.alphas_cumprod[timestep].item()
        return a**0.5 * clean + (1 - a) ** 0.5 * noise

    def epsilon(self, latents: Latents, output: Latents, timestep: int) -> Latents:
        """The noise in x_t according to the denoiser's output."""
        if self.prediction_type == "epsilon":
            return output
        a = self.alphas_cumprod[timestep].item()
        return a**0.5 * output + (1 - a) ** 0.5 * latents

    def move(self, latents: Latents, output: Latents, timestep: int, to: int) -> Latents:
        """Deterministic DDIM step from one noise level to another, up or down."""
        a = self.alphas_cumprod[timestep].item()
        noise = self.epsilon(latents, output, timestep)
        clean = (latents - (1 - a) ** 0.5 * noise) / a**0.5
        return self.noised(clean, noise, to)
