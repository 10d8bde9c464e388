"""CogView4: image and text share their projections; the text's tokens come before the image's."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.families.shared import empty_prompt, encoded, vae
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, image_last

_TOKENS = 16  # a text is filled up to a multiple of them


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, _, h, w = latents.shape
    size = latents.new_tensor([[8 * h, 8 * w]]).expand(b, 2)  # in pixels, as in training
    return denoiser(
        hidden_states=latents,
        encoder_hidden_states=null["prompt_embeds"],
        timestep=timesteps,
        original_size=size,
        target_size=size,
        crop_coords=torch.zeros_like(size),
    ).sample


_VAE = vae(16, 1.0) | {
    "block_out_channels": (128, 512, 1024, 1024), "layers_per_block": 3,
    "mid_block_add_attention": False, "use_quant_conv": False, "use_post_quant_conv": False,
}  # fmt: skip

COGVIEW4 = Family(
    name="cogview4",
    pipelines=("CogView4Pipeline",),
    self_attention=re.compile(r"transformer_blocks\.\d+\.attn1"),
    predict=_predict,
    condition=lambda config: {"prompt_embeds": (1, _TOKENS, config.text_embed_dim)},
    nulls=encoded(empty_prompt("prompt_embeds", do_classifier_free_guidance=False)),
    image_tokens=image_last,
    image_output=0,
    prompt=PromptFormat(max_tokens=1024, filling=lambda tokens: (-tokens % _TOKENS, 0)),
    denoiser_class="CogView4Transformer2DModel",
    config={"num_layers": 28, "num_attention_heads": 32, "attention_head_dim": 128},
    vae_config=_VAE,
)
