"""Noise schedules, moved by hand: how a latent gets from one noise level to the next.

diffusers' DDIMInverseScheduler evaluates the model on x_{t-100} with label t, so a map captured
in its loop belongs to no noise level, and its flow schedulers cannot go up. These few lines keep
latent and label together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

Latents = Float[Tensor, "b c h w"]


def _known(prediction_type: str) -> Any:
    if prediction_type not in ("epsilon", "v_prediction"):
        raise ValueError(
            f"prediction type {prediction_type!r} is not supported; known: epsilon, v_prediction"
        )
    return prediction_type


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
        _known(self.prediction_type)

    @classmethod
    def of(cls, scheduler: Any) -> DDPMSchedule:
        """The noise levels of a diffusers scheduler, whatever path it takes through them.

        Raises:
            ValueError: it has none, as those of flow matching.
        """
        alphas = getattr(scheduler, "alphas_cumprod", None)
        if alphas is None:
            raise ValueError(f"the scheduler {type(scheduler).__name__} has no alphas_cumprod; "
                             "this family needs one of DDPM's kind")  # fmt: skip
        return cls(alphas.cpu().double(), scheduler.config.prediction_type)

    @property
    def levels(self) -> Float64[Tensor, " t"]:
        """a_t: the share of the image's variance at each timestep."""
        return self.alphas_cumprod

    def timesteps(self, stride: int = 100, shift: float = 1.0) -> tuple[int, ...]:
        """Tau = 0, 99, 199, ..., 999 for a stride of 100 and 1,000 training steps.

        Raises:
            ValueError: there is a shift, which only flow models have.
        """
        if shift != 1:
            raise ValueError(f"shift {shift} is for flow models (SD3, FLUX): leave it out")
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

    def predicting(self, prediction_type: str) -> DDPMSchedule:
        """The same noise levels, of a denoiser with this output.

        Raises:
            ValueError: it is neither "epsilon" nor "v_prediction".
        """
        return DDPMSchedule(self.alphas_cumprod, _known(prediction_type))

    def clean(self, latents: Latents, output: Latents, timestep: int) -> Latents:
        """x_0 according to the denoiser's output; of v-prediction also where x_t is noise alone."""
        a = self.alphas_cumprod[timestep].item()
        if self.prediction_type == "v_prediction":
            return a**0.5 * latents - (1 - a) ** 0.5 * output
        return (latents - (1 - a) ** 0.5 * output) / a**0.5

    def move(self, latents: Latents, output: Latents, timestep: int, to: int) -> Latents:
        """Deterministic DDIM step from one noise level to another, up or down."""
        clean = self.clean(latents, output, timestep)
        return self.noised(clean, self.epsilon(latents, output, timestep), to)


@dataclass(frozen=True)
class FlowSchedule:
    """x_s = (1 - s) x_0 + s noise; the denoiser's output is the velocity v = noise - x_0.

    A timestep t = 0 .. T stands for s = t / T. The levels are uniform in s; the shift that samplers
    of these models apply only sets at which s they stop, and skips the small ones.

    Attributes:
        steps: T.
    """

    steps: int = 1000
    prediction_type: Literal["flow"] = "flow"

    @classmethod
    def of(cls, scheduler: Any) -> FlowSchedule:
        """The steps of a flow-matching scheduler of diffusers.

        Raises:
            ValueError: it is one of DDPM's kind.
        """
        if getattr(scheduler, "alphas_cumprod", None) is not None:
            raise ValueError(f"the scheduler {type(scheduler).__name__} is one of DDPM's kind; "
                             "this family needs one for flow matching")  # fmt: skip
        return cls(scheduler.config.num_train_timesteps)

    def predicting(self, prediction_type: str) -> FlowSchedule:
        """Raises: a model of flow matching predicts the flow.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"a model of flow matching predicts the flow, not {prediction_type}")

    @property
    def levels(self) -> Float64[Tensor, " t"]:
        """The s of each timestep: the share of noise."""
        return torch.linspace(0, 1, self.steps + 1, dtype=torch.float64)

    def timesteps(self, stride: int = 100, shift: float = 1.0) -> tuple[int, ...]:
        """0, 100, ..., 1000 (s = 0, 0.1, ..., 1) for a stride of 100 and 1,000 training steps.

        Args:
            shift: a > 0 moves them to a s / (1 + (a - 1) s), as samplers do, rounded to whole
                timesteps. With 3: 0, 250, 429, 562, 667, 750, 818, 875, 923, 964, 1000.
        """
        uniform = (t / self.steps for t in range(0, self.steps + 1, stride))
        moved = (shift * s / (1 + (shift - 1) * s) for s in uniform)
        return tuple(dict.fromkeys(round(self.steps * s) for s in moved))

    def noised(self, clean: Latents, noise: Float[Tensor, "#b c h w"], timestep: int) -> Latents:
        """x_s with this noise, one for each image or one for all."""
        s = timestep / self.steps
        return (1 - s) * clean + s * noise

    def move(self, latents: Latents, output: Latents, timestep: int, to: int) -> Latents:
        """Euler step along the velocity, up or down."""
        return latents + (to - timestep) / self.steps * output


@dataclass(frozen=True)
class StillSchedule:
    """No noise: one step, at which the image is as it is. For models that do not denoise."""

    prediction_type: Literal["none"] = "none"

    @property
    def levels(self) -> Float64[Tensor, " t"]:
        """The share of noise at the only step."""
        return torch.zeros(1, dtype=torch.float64)

    def timesteps(self, stride: int = 100, shift: float = 1.0) -> tuple[int, ...]:
        """The only step, whatever the stride."""
        return (0,)

    def noised(self, clean: Latents, noise: Float[Tensor, "#b c h w"], timestep: int) -> Latents:
        """The image itself."""
        return clean

    def move(self, latents: Latents, output: Latents, timestep: int, to: int) -> Latents:
        """The image itself."""
        return latents


Schedule = DDPMSchedule | FlowSchedule
