"""Z-Image: one stream of tokens, the image's first, behind refiners of the image and of the text.

Image and text are each filled up to a multiple of 32 tokens; what is filled in is attended to, and
is not the image's. Time runs the other way: 0 is noise and 1 the image.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.families.shared import FLUX_VAE, encoded, user_message
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, image_first

_PATCH = 2
_MULTIPLE = 32  # of tokens, that image and text are filled up to
_TOKENS = 8  # of the template around an empty text


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    outputs = denoiser(
        list(latents.unsqueeze(2)),  # of one frame each: (C, 1, h, w)
        1 - timesteps / 1000,
        list(null["prompt_embeds"]),
        patch_size=_PATCH,
    ).sample
    return -torch.stack(outputs).squeeze(2)  # it goes from noise to image


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    """The empty text in its template, without padding."""
    (embeds,), _ = pipeline.encode_prompt("", device=device, do_classifier_free_guidance=False)
    return {"prompt_embeds": embeds[None]}


def _chat(pipeline: Any, prompt: str) -> str:
    """A user's message, to be answered after thought."""
    return user_message(pipeline, prompt, enable_thinking=True)


Z_IMAGE = Family(
    name="z-image",
    pipelines=("ZImagePipeline",),
    self_attention=re.compile(r"(noise_refiner|layers)\.\d+\.attention"),
    predict=_predict,
    condition=lambda config: {"prompt_embeds": (1, _TOKENS, config.cap_feat_dim)},
    nulls=encoded(_encode),
    patch=lambda config: _PATCH,
    image_tokens=image_first,
    prompt=PromptFormat(
        template=_chat,
        max_tokens=512,
        filling=lambda tokens: (0, -tokens % _MULTIPLE),
        image_multiple=_MULTIPLE,
        prompt_row=0,
    ),
    denoiser_class="ZImageTransformer2DModel",
    config={"axes_lens": (1536, 512, 512)},
    vae_config=FLUX_VAE,
)
