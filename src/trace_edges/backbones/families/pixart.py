"""PixArt-alpha and PixArt-Sigma: a diffusion transformer that asks the prompt by cross-attention.

Its self-attention sees the image's tokens only.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.schedules import DDPMSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_first

_ALPHA_TOKENS, _SIGMA_TOKENS = 120, 300


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, _, h, w = latents.shape
    conditions: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
    if denoiser.config.use_additional_conditions:
        height, width = 8 * h, 8 * w  # in pixels, as in training
        conditions = {
            "resolution": latents.new_tensor([[height, width]]).expand(b, 2),
            "aspect_ratio": latents.new_tensor([[height / width]]).expand(b, 1),
        }
    return denoiser(
        latents,
        timestep=timesteps,
        encoder_hidden_states=null["prompt_embeds"].expand(b, -1, -1),
        # Without the mask the padding tokens would be attended to, and the output changes.
        encoder_attention_mask=null["prompt_attention_mask"].expand(b, -1),
        added_cond_kwargs=conditions,
    ).sample


def _condition(config: Any, tokens: int = _ALPHA_TOKENS) -> Shapes:
    return {
        "prompt_embeds": (1, tokens, config.caption_channels),
        "prompt_attention_mask": (1, tokens),
    }


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    embeds, mask, _, _ = pipeline.encode_prompt(
        "", do_classifier_free_guidance=False, device=device
    )
    return {"prompt_embeds": embeds, "prompt_attention_mask": mask}


PIXART = Family(
    name="pixart",
    pipelines=("PixArtAlphaPipeline",),
    denoiser="transformer",
    self_attention=re.compile(r"transformer_blocks\.\d+\.attn1"),
    predict=_predict,
    condition=_condition,
    nulls={"encoded": Null(("text_encoder", "tokenizer"), _encode)},
    schedule=DDPMSchedule.of,
    channels=lambda config: config.in_channels,
    patch=lambda config: config.patch_size,
    image_tokens=image_first,
)

PIXART_SIGMA = replace(
    PIXART,
    name="pixart-sigma",
    pipelines=("PixArtSigmaPipeline",),
    condition=partial(_condition, tokens=_SIGMA_TOKENS),
)
