"""Stable Diffusion 3 and 3.5: image and text in one joint attention, the image's tokens first.

The first blocks of 3.5-medium have a second self-attention, `attn2`, of the image alone.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from trace_edges.backbones.families.shared import TWO_ENCODERS, empty_prompt, vae
from trace_edges.backbones.specs import (
    Family,
    Null,
    NullCondition,
    PromptFormat,
    Shapes,
    image_first,
)

_TOKENS = 77 + 256  # of CLIP and of T5


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    return denoiser(
        hidden_states=latents,
        timestep=timesteps,
        encoder_hidden_states=null["prompt_embeds"],
        pooled_projections=null["pooled_prompt_embeds"],
    ).sample


def _condition(config: Any) -> Shapes:
    return {
        "prompt_embeds": (1, _TOKENS, config.joint_attention_dim),
        "pooled_prompt_embeds": (1, config.pooled_projection_dim),
    }


# Without the T5 encoder its tokens are zeros.
_encode = empty_prompt(
    "prompt_embeds", "", "pooled_prompt_embeds",
    prompt_2="", prompt_3="", do_classifier_free_guidance=False,
)  # fmt: skip
_CONFIG = {
    "sample_size": 128, "in_channels": 16, "out_channels": 16, "num_layers": 24,
    "num_attention_heads": 24, "attention_head_dim": 64, "caption_projection_dim": 1536,
    "joint_attention_dim": 4096, "pooled_projection_dim": 2048, "pos_embed_max_size": 192,
}  # fmt: skip
SD3 = Family(
    name="sd3",
    pipelines=("StableDiffusion3Pipeline",),
    self_attention=re.compile(r"transformer_blocks\.\d+\.attn2?"),
    predict=_predict,
    condition=_condition,
    # The empty prompt is what its pipeline takes for no prompt. T5 is most of the download; in
    # training every encoder was left out now and then, so that zeros are known to the model.
    nulls={
        "encoded": Null((*TWO_ENCODERS, "text_encoder_3", "tokenizer_3"), _encode),
        "no-t5": Null(TWO_ENCODERS, _encode),
    },
    image_tokens=image_first,
    prompt=PromptFormat({"tokenizer": 0, "tokenizer_3": 77}),
    denoiser_class="SD3Transformer2DModel",
    config=_CONFIG,
    vae_config=vae(16, 1.5305, 0.0609),
    scheduler=("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
)
