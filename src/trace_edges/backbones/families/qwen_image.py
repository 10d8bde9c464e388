"""Qwen-Image: the text's tokens come before the image's; its autoencoder is one of videos.

2 x 2 latents are packed into the channels of one token before the transformer sees them.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.families.packing import PATCH, pack, unpack
from trace_edges.backbones.latents import QWEN_KL
from trace_edges.backbones.schedules import FlowSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_last

_TOKENS = 5  # what of the template is behind an empty text


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, (h, w) = len(latents), (side // PATCH for side in latents.shape[-2:])
    output = denoiser(
        hidden_states=pack(latents),
        timestep=timesteps / 1000,
        encoder_hidden_states=null["prompt_embeds"].expand(b, -1, -1),
        img_shapes=[[(1, h, w)]] * b,  # of one frame
    ).sample
    return unpack(output, latents)


def _condition(config: Any) -> Shapes:
    return {"prompt_embeds": (1, _TOKENS, config.joint_attention_dim)}


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    """The empty text in its template; nothing of it is padding."""
    embeds, _ = pipeline.encode_prompt("", device=device)
    return {"prompt_embeds": embeds}


QWEN_IMAGE = Family(
    name="qwen-image",
    pipelines=("QwenImagePipeline",),
    denoiser="transformer",
    self_attention=re.compile(r"transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=_condition,
    nulls={"encoded": Null(("text_encoder", "tokenizer"), _encode)},
    schedule=FlowSchedule.of,
    channels=lambda config: config.in_channels // PATCH**2,
    patch=lambda config: PATCH,
    image_tokens=image_last,
    autoencoder=QWEN_KL,
)
