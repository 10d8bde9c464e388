"""Stable Diffusion 3 and 3.5: image and text in one joint attention, the image's tokens first.

The first blocks of 3.5-medium have a second self-attention, `attn2`, of the image alone.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.schedules import FlowSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_first

_TOKENS = 77 + 256  # of CLIP and of T5
_CLIP = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b = len(latents)
    return denoiser(
        hidden_states=latents,
        timestep=timesteps,
        encoder_hidden_states=null["prompt_embeds"].expand(b, -1, -1),
        pooled_projections=null["pooled_prompt_embeds"].expand(b, -1),
    ).sample


def _condition(config: Any) -> Shapes:
    return {
        "prompt_embeds": (1, _TOKENS, config.joint_attention_dim),
        "pooled_prompt_embeds": (1, config.pooled_projection_dim),
    }


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    """The empty prompt; without the T5 encoder its tokens are zeros."""
    embeds, _, pooled, _ = pipeline.encode_prompt(
        "", "", "", device=device, do_classifier_free_guidance=False
    )
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


SD3 = Family(
    name="sd3",
    pipelines=("StableDiffusion3Pipeline",),
    denoiser="transformer",
    self_attention=re.compile(r"transformer_blocks\.\d+\.attn2?"),
    predict=_predict,
    condition=_condition,
    # The empty prompt is what its pipeline takes for no prompt. T5 is most of the download; in
    # training every encoder was left out now and then, so that zeros are known to the model.
    nulls={
        "encoded": Null((*_CLIP, "text_encoder_3", "tokenizer_3"), _encode),
        "no-t5": Null(_CLIP, _encode),
    },
    schedule=FlowSchedule.of,
    channels=lambda config: config.in_channels,
    patch=lambda config: config.patch_size,
    image_tokens=image_first,
)
