"""Chroma: FLUX.1 without pooled text and guidance; the text's tokens come before the image's."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.families.flux import image_positions
from trace_edges.backbones.families.packing import PATCH, pack, unpack
from trace_edges.backbones.schedules import FlowSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_last

_TOKENS = 2  # the end of an empty text, and the first of the padding


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    embeds = null["prompt_embeds"].expand(len(latents), -1, -1)
    output = denoiser(
        hidden_states=pack(latents),
        timestep=timesteps / 1000,
        encoder_hidden_states=embeds,
        txt_ids=torch.zeros(embeds.shape[1], 3, device=latents.device),
        img_ids=image_positions(latents),
    ).sample
    return unpack(output, latents)


def _condition(config: Any) -> Shapes:
    return {"prompt_embeds": (1, _TOKENS, config.joint_attention_dim)}


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    """The empty text, without the tokens that its mask hides.

    The pipeline of diffusers keeps them, and adds the mask to the logits as ones and zeros, so that
    they are hidden in part only.
    """
    embeds, _, mask, *_ = pipeline.encode_prompt(
        "", device=device, do_classifier_free_guidance=False
    )
    return {"prompt_embeds": embeds[mask.bool()][None]}


CHROMA = Family(
    name="chroma",
    pipelines=("ChromaPipeline",),
    denoiser="transformer",
    self_attention=re.compile(r"(single_)?transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=_condition,
    nulls={"encoded": Null(("text_encoder", "tokenizer"), _encode)},
    schedule=FlowSchedule.of,
    channels=lambda config: config.in_channels // PATCH**2,
    patch=lambda config: PATCH,
    image_tokens=image_last,
)
