"""Z-Image: one stream of tokens, the image's first, behind refiners of the image and of the text.

Image and text are each filled up to a multiple of 32 tokens; what is filled in is attended to, and
is not the image's. Time runs the other way: 0 is noise and 1 the image.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.schedules import FlowSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_first

_PATCH = 2
_TOKENS = 8  # of the template around an empty text


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    outputs = denoiser(
        list(latents.unsqueeze(2)),  # of one frame each: (C, 1, h, w)
        1 - timesteps / 1000,
        [null["prompt_embeds"][0]] * len(latents),
        patch_size=_PATCH,
    ).sample
    return -torch.stack(outputs).squeeze(2)  # it goes from noise to image


def _condition(config: Any) -> Shapes:
    return {"prompt_embeds": (1, _TOKENS, config.cap_feat_dim)}


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    """The empty text in its template, without padding."""
    (embeds,), _ = pipeline.encode_prompt("", device=device, do_classifier_free_guidance=False)
    return {"prompt_embeds": embeds[None]}


Z_IMAGE = Family(
    name="z-image",
    pipelines=("ZImagePipeline",),
    denoiser="transformer",
    self_attention=re.compile(r"(noise_refiner|layers)\.\d+\.attention"),
    predict=_predict,
    condition=_condition,
    nulls={"encoded": Null(("text_encoder", "tokenizer"), _encode)},
    schedule=FlowSchedule.of,
    channels=lambda config: config.in_channels,
    patch=lambda config: _PATCH,
    image_tokens=image_first,
)
