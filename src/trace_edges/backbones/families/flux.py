"""FLUX.1: double blocks, then single ones; in both, the text's tokens come before the image's.

2 x 2 latents are packed into the channels of one token before the transformer sees them.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.families.shared import (
    FLUX_VAE,
    PATCH,
    TWO_ENCODERS,
    encoded,
    packed_grid,
    positions,
    run_packed,
)
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, Shapes, image_last

_TOKENS, _SCHNELL_TOKENS = 512, 256  # of T5
_NO_GUIDANCE = 1.0  # what the distilled guidance calls none


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    embeds, guides = null["prompt_embeds"], denoiser.config.guidance_embeds
    guidance = latents.new_full((len(latents),), _NO_GUIDANCE) if guides else None
    return run_packed(
        denoiser,
        latents,
        timesteps,
        guidance=guidance,
        pooled_projections=null["pooled_prompt_embeds"],
        encoder_hidden_states=embeds,
        txt_ids=torch.zeros(embeds.shape[1], 3, device=latents.device),
        img_ids=positions((1, *packed_grid(latents)), latents),
    )


def _condition(config: Any) -> Shapes:
    return {
        "prompt_embeds": (1, _tokens(config), config.joint_attention_dim),
        "pooled_prompt_embeds": (1, config.pooled_projection_dim),
    }


def _tokens(config: Any) -> int:
    """Tokens of text: schnell, which has no distilled guidance, learnt with half as many."""
    return _TOKENS if config.guidance_embeds else _SCHNELL_TOKENS


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    tokens = _tokens(pipeline.transformer.config)
    embeds, pooled, _ = pipeline.encode_prompt("", device=device, max_sequence_length=tokens)
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


FLUX = Family(
    name="flux",
    pipelines=("FluxPipeline",),
    self_attention=re.compile(r"(single_)?transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=_condition,
    nulls=encoded(_encode, TWO_ENCODERS),
    channels=lambda config: config.in_channels // PATCH**2,
    patch=lambda config: PATCH,
    image_tokens=image_last,
    prompt=PromptFormat({"tokenizer_2": 0}),
    denoiser_class="FluxTransformer2DModel",
    config={"in_channels": 64, "guidance_embeds": True},
    vae_config=FLUX_VAE,
)
