"""CogView4: image and text share their projections; the text's tokens come before the image's."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.schedules import FlowSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_last

_TOKENS = 16  # an empty text is filled up to them


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, _, h, w = latents.shape
    size = latents.new_tensor([[8 * h, 8 * w]]).expand(b, 2)  # in pixels, as in training
    return denoiser(
        hidden_states=latents,
        encoder_hidden_states=null["prompt_embeds"].expand(b, -1, -1),
        timestep=timesteps,
        original_size=size,
        target_size=size,
        crop_coords=torch.zeros_like(size),
    ).sample


def _condition(config: Any) -> Shapes:
    return {"prompt_embeds": (1, _TOKENS, config.text_embed_dim)}


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    embeds, _ = pipeline.encode_prompt("", device=device, do_classifier_free_guidance=False)
    return {"prompt_embeds": embeds}


COGVIEW4 = Family(
    name="cogview4",
    pipelines=("CogView4Pipeline",),
    denoiser="transformer",
    self_attention=re.compile(r"transformer_blocks\.\d+\.attn1"),
    predict=_predict,
    condition=_condition,
    nulls={"encoded": Null(("text_encoder", "tokenizer"), _encode)},
    schedule=FlowSchedule.of,
    channels=lambda config: config.in_channels,
    patch=lambda config: config.patch_size,
    image_tokens=image_last,
    image_output=0,
)
