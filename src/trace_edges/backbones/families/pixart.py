"""PixArt-alpha and -Sigma: diffusion transformers that attend to the prompt by cross-attention.

Their self-attention sees the image's tokens only.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from trace_edges.backbones.families.shared import (
    CROSS_ATTENTION,
    SD_VAE,
    SDXL_VAE,
    empty_prompt,
    encoded,
)
from trace_edges.backbones.schedules import DDPMSchedule
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, Shapes, image_first

_ALPHA_TOKENS, _SIGMA_TOKENS = 120, 300


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, _, h, w = latents.shape
    conditions: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
    # The module knows: configs older than the key have None for it.
    if denoiser.use_additional_conditions:
        height, width = 8 * h, 8 * w  # in pixels, as in training
        conditions = {
            "resolution": latents.new_tensor([[height, width]]).expand(b, 2),
            "aspect_ratio": latents.new_tensor([[height / width]]).expand(b, 1),
        }
    return denoiser(
        latents,
        timestep=timesteps,
        encoder_hidden_states=null["prompt_embeds"],
        # Without the mask the padding tokens would be attended to, and the output changes.
        encoder_attention_mask=null["prompt_attention_mask"],
        added_cond_kwargs=conditions,
    ).sample


def _condition(config: Any, tokens: int = _ALPHA_TOKENS) -> Shapes:
    return {
        "prompt_embeds": (1, tokens, config.caption_channels),
        "prompt_attention_mask": (1, tokens),
    }


_encode = empty_prompt("prompt_embeds", "prompt_attention_mask", do_classifier_free_guidance=False)
_CONFIG = {
    "sample_size": 128, "in_channels": 4, "out_channels": 8, "num_layers": 28,
    "num_attention_heads": 16, "attention_head_dim": 72, "cross_attention_dim": 1152,
    "caption_channels": 4096, "interpolation_scale": 2, "use_additional_conditions": True,
}  # fmt: skip
_SCHEDULER = {
    "beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02, "clip_sample": False,
    "steps_offset": 1,
}  # fmt: skip
PIXART = Family(
    name="pixart",
    pipelines=("PixArtAlphaPipeline",),
    self_attention=re.compile(r"transformer_blocks\.\d+\.attn1"),
    predict=_predict,
    condition=_condition,
    nulls=encoded(_encode),
    schedule=DDPMSchedule.of,
    image_tokens=image_first,
    prompt=PromptFormat(
        cross_attention=CROSS_ATTENTION, lowercase=True, padding_bias=-float("inf")
    ),
    denoiser_class="PixArtTransformer2DModel",
    config=_CONFIG,
    vae_config=SD_VAE,
    scheduler=("DDIMScheduler", _SCHEDULER),
)

PIXART_SIGMA = replace(
    PIXART,
    name="pixart-sigma",
    pipelines=("PixArtSigmaPipeline",),
    condition=partial(_condition, tokens=_SIGMA_TOKENS),
    vae_config=SDXL_VAE,
)
