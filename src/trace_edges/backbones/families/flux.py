"""FLUX.1: double blocks, then single ones; in both, the text's tokens come before the image's.

2 x 2 latents are packed into the channels of one token before the transformer sees them.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trace_edges.backbones.families.packing import PATCH, pack, unpack
from trace_edges.backbones.schedules import FlowSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_last

_TOKENS, _SCHNELL_TOKENS = 512, 256  # of T5
_NO_GUIDANCE = 1.0  # what the distilled guidance calls none


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b = len(latents)
    embeds = null["prompt_embeds"].expand(b, -1, -1)
    guidance = latents.new_full((b,), _NO_GUIDANCE) if denoiser.config.guidance_embeds else None
    output = denoiser(
        hidden_states=pack(latents),
        timestep=timesteps / 1000,
        guidance=guidance,
        pooled_projections=null["pooled_prompt_embeds"].expand(b, -1),
        encoder_hidden_states=embeds,
        txt_ids=torch.zeros(embeds.shape[1], 3, device=latents.device),
        img_ids=image_positions(latents),
    ).sample
    return unpack(output, latents)


def image_positions(latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "n 3"]:
    """(0, row, column) of every token of the image, row-major, for the rotary embedding."""
    h, w = (side // PATCH for side in latents.shape[-2:])
    axes = (torch.arange(side, dtype=torch.float32, device=latents.device) for side in (1, h, w))
    return torch.cartesian_prod(*axes)


def _condition(config: Any) -> Shapes:
    return {
        "prompt_embeds": (1, _tokens(config), config.joint_attention_dim),
        "pooled_prompt_embeds": (1, config.pooled_projection_dim),
    }


def _tokens(config: Any) -> int:
    """schnell, the one without distilled guidance, learnt with half as many tokens of text."""
    return _TOKENS if config.guidance_embeds else _SCHNELL_TOKENS


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    tokens = _tokens(pipeline.transformer.config)
    embeds, pooled, _ = pipeline.encode_prompt("", device=device, max_sequence_length=tokens)
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


FLUX = Family(
    name="flux",
    pipelines=("FluxPipeline",),
    denoiser="transformer",
    self_attention=re.compile(r"(single_)?transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=_condition,
    nulls={
        "encoded": Null(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"), _encode)
    },
    schedule=FlowSchedule.of,
    channels=lambda config: config.in_channels // PATCH**2,
    patch=lambda config: PATCH,
    image_tokens=image_last,
)
