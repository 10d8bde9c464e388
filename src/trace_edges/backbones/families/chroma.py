"""Chroma: FLUX.1 without pooled text and guidance; the text's tokens come before the image's."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.families.shared import (
    FLUX_VAE,
    PATCH,
    encoded,
    packed_grid,
    positions,
    run_packed,
)
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, image_last

_TOKENS = 2  # the end of an empty text, and the first of the padding


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    embeds = null["prompt_embeds"]
    return run_packed(
        denoiser,
        latents,
        timesteps,
        encoder_hidden_states=embeds,
        txt_ids=torch.zeros(embeds.shape[1], 3, device=latents.device),
        img_ids=positions((1, *packed_grid(latents)), latents),
    )


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
    self_attention=re.compile(r"(single_)?transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=lambda config: {"prompt_embeds": (1, _TOKENS, config.joint_attention_dim)},
    nulls=encoded(_encode),
    channels=lambda config: config.in_channels // PATCH**2,
    patch=lambda config: PATCH,
    image_tokens=image_last,
    # Its mask is ones and zeros, and is added to the logits: it takes 1 from those it is to hide.
    prompt=PromptFormat(max_tokens=512, visible_padding=1, padding_bias=-1.0),
    denoiser_class="ChromaTransformer2DModel",
    vae_config=FLUX_VAE,
)
