"""Qwen-Image: the text's tokens come before the image's; its autoencoder is one of videos.

2 x 2 latents are packed into the channels of one token before the transformer sees them.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from trace_edges.backbones.families.shared import (
    PATCH,
    empty_prompt,
    encoded,
    packed_grid,
    run_packed,
)
from trace_edges.backbones.latents import Autoencoder
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, image_last

_TOKENS = 5  # of the template, behind an empty text; none is padding


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    shapes = [[(1, *packed_grid(latents))]] * len(latents)  # of one frame
    return run_packed(
        denoiser,
        latents,
        timesteps,
        encoder_hidden_states=null["prompt_embeds"],
        img_shapes=shapes,
    )


QWEN_IMAGE = Family(
    name="qwen-image",
    pipelines=("QwenImagePipeline",),
    self_attention=re.compile(r"transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=lambda config: {"prompt_embeds": (1, _TOKENS, config.joint_attention_dim)},
    nulls=encoded(empty_prompt("prompt_embeds")),
    channels=lambda config: config.in_channels // PATCH**2,
    patch=lambda config: PATCH,
    image_tokens=image_last,
    autoencoder=Autoencoder(
        "AutoencoderKLQwenImage", pixels=lambda vae: vae.spatial_compression_ratio, video=True
    ),
    prompt=PromptFormat(
        template=lambda pipeline, prompt: pipeline.prompt_template_encode.format(prompt),
        max_tokens=512,
        dropped=lambda pipeline: pipeline.prompt_template_encode_start_idx,
        filling=lambda tokens: (0, 0),
        guidance="true_cfg_scale",
    ),
    denoiser_class="QwenImageTransformer2DModel",
)
