"""The denoisers that can be trained: each kind one row, built from its config and run unprompted.

There is no text encoder and no class: the condition is null in training as it is in TRACE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Condition = dict[str, Tensor]
"""What stands for the empty prompt, with a batch of one in front."""

_TOKENS = 8  # of the null prompt of a transformer
_CAPTION = 64  # channels of it
_CLIP_TOKENS = 77  # of the null prompt of a UNet, as Stable Diffusion's encoder gives it


@dataclass(frozen=True)
class Kind:
    """One row.

    Attributes:
        pipeline: the diffusers pipeline that runs it, by name.
        component: what it is called there.
        fixed: what its config must say so that it runs on the null condition alone.
        condition: (its full config) -> the null condition.
        predict: (denoiser, noised latents, timesteps, null condition) -> the noise.
        absent: components of the pipeline that there are none of.
    """

    pipeline: str
    component: str
    fixed: Mapping[str, Any]
    condition: Callable[[Mapping[str, Any]], Condition]
    predict: Callable[[nn.Module, Tensor, Tensor, Condition], Tensor]
    absent: Mapping[str, Any]


def build_denoiser(
    name: str, config: Mapping[str, Any], channels: int, latents: int, seed: int
) -> nn.Module:
    """A denoiser with random weights that `seed` decides.

    Args:
        name: of a class in `KINDS`.
        config: of that class.
        channels: of the latents.
        latents: along a side of what it is trained on.
    """
    whole = {**KINDS[name].fixed, **config, "in_channels": channels, "out_channels": channels}
    if name == "PixArtTransformer2DModel":
        width = whole["num_attention_heads"] * whole["attention_head_dim"]
        whole.setdefault("cross_attention_dim", width)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return getattr(diffusers, name)(**whole, sample_size=latents)


def _null_pixart(config: Mapping[str, Any]) -> Condition:
    return {
        "prompt_embeds": torch.zeros(1, _TOKENS, config["caption_channels"]),
        "prompt_attention_mask": torch.ones(1, _TOKENS),
    }


def _predict_pixart(
    denoiser: nn.Module,
    latents: Float[Tensor, "b c h w"],
    timesteps: Int[Tensor, " b"],
    null: Condition,
) -> Float[Tensor, "b c h w"]:
    b = len(latents)
    return denoiser(
        latents,
        timestep=timesteps,
        encoder_hidden_states=null["prompt_embeds"].expand(b, -1, -1),
        encoder_attention_mask=null["prompt_attention_mask"].expand(b, -1),
        added_cond_kwargs={"resolution": None, "aspect_ratio": None},
    ).sample


def _null_unet(config: Mapping[str, Any]) -> Condition:
    return {"prompt_embeds": torch.zeros(1, _CLIP_TOKENS, config["cross_attention_dim"])}


def _predict_unet(
    denoiser: nn.Module,
    latents: Float[Tensor, "b c h w"],
    timesteps: Int[Tensor, " b"],
    null: Condition,
) -> Float[Tensor, "b c h w"]:
    embeds = null["prompt_embeds"].expand(len(latents), -1, -1)
    return denoiser(latents, timesteps, encoder_hidden_states=embeds).sample


KINDS = {
    "PixArtTransformer2DModel": Kind(
        pipeline="PixArtAlphaPipeline",
        component="transformer",
        fixed={"patch_size": 1, "caption_channels": _CAPTION, "use_additional_conditions": False},
        condition=_null_pixart,
        predict=_predict_pixart,
        absent={"text_encoder": None, "tokenizer": None},
    ),
    "UNet2DConditionModel": Kind(
        pipeline="StableDiffusionPipeline",
        component="unet",
        fixed={},
        condition=_null_unet,
        predict=_predict_unet,
        absent={
            "text_encoder": None,
            "tokenizer": None,
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": False,
        },
    ),
}
