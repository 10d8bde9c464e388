"""Lumina-Image 2.0: one stream of tokens, the image's last, behind refiners of image and text.

Time runs the other way: 0 is noise and 1 the image.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.families.shared import FLUX_VAE, encoded
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, image_last

_TOKENS = 1  # that begins a text, be it empty


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    embeds = null["prompt_embeds"]
    # The transformer counts its ones, for which it must have values, also where nothing else has.
    device = "cpu" if latents.is_meta else latents.device
    velocity = denoiser(
        hidden_states=latents,
        timestep=1 - timesteps / 1000,
        encoder_hidden_states=embeds,
        encoder_attention_mask=torch.ones(embeds.shape[:2], dtype=torch.bool, device=device),
    ).sample
    return -velocity  # it goes from noise to image


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    """The empty text without the system prompt, which is what the pipeline takes for no prompt.

    Padding is left out, as the transformer would do itself.
    """
    *_, embeds, mask = pipeline.encode_prompt("", device=device)
    return {"prompt_embeds": embeds[mask.bool()][None]}


LUMINA2 = Family(
    name="lumina2",
    pipelines=("Lumina2Pipeline",),
    self_attention=re.compile(r"(noise_refiner|layers)\.\d+\.attn"),
    predict=_predict,
    condition=lambda config: {"prompt_embeds": (1, _TOKENS, config.cap_feat_dim)},
    nulls=encoded(_encode),
    image_tokens=image_last,
    prompt=PromptFormat(
        template=lambda pipeline, prompt: f"{pipeline.system_prompt} <Prompt Start> {prompt}",
        max_tokens=256,
        filling=lambda tokens: (0, 0),
    ),
    denoiser_class="Lumina2Transformer2DModel",
    config={"cap_feat_dim": 2304},
    vae_config=FLUX_VAE,
)
