"""Stable Diffusion 1.x and 2.x, and SDXL: a UNet whose self-attention lives on several grids.

Its layers see the image's tokens only; the prompt comes in by cross-attention. A feature map of
odd sides is halved upwards, so a layer's grid is read from the feature map that it is given.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.checkpoints import Config
from trace_edges.backbones.families.shared import (
    CROSS_ATTENTION,
    SCALED_LINEAR,
    SD_VAE,
    SDXL_VAE,
    TWO_ENCODERS,
    empty_prompt,
    encoded,
)
from trace_edges.backbones.schedules import DDPMSchedule
from trace_edges.backbones.specs import (
    Family,
    Null,
    NullCondition,
    PromptFormat,
    Shapes,
    image_first,
    trained_at,
)

_TOKENS = 77  # of CLIP
_TIME_IDS = 6


def _predict_sd(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    return denoiser(latents, timesteps, encoder_hidden_states=null["prompt_embeds"]).sample


def _predict_sdxl(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, _, h, w = latents.shape
    height, width = 8 * h, 8 * w  # in pixels, as in training
    sizes = [height, width, 0, 0, height, width]  # original, crop's corner, target
    return denoiser(
        latents,
        timesteps,
        encoder_hidden_states=null["prompt_embeds"],
        added_cond_kwargs={
            "text_embeds": null["pooled_prompt_embeds"],
            "time_ids": latents.new_tensor([sizes]).expand(b, -1),
        },
    ).sample


def _condition_sd(config: Any) -> Shapes:
    return {"prompt_embeds": (1, _TOKENS, config.cross_attention_dim)}


def _condition_sdxl(config: Any) -> Shapes:
    pooled = (
        config.projection_class_embeddings_input_dim - _TIME_IDS * config.addition_time_embed_dim
    )
    return _condition_sd(config) | {"pooled_prompt_embeds": (1, pooled)}


def _zeros(pipeline: Any, device: torch.device) -> NullCondition:
    """Zeros, which SDXL's own pipeline takes for no prompt (`force_zeros_for_empty_prompt`)."""
    shapes = _condition_sdxl(pipeline.unet.config)
    return {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}


def _patch(config: Any) -> int:
    """The UNet halves its feature map behind every block; the first one with attention counts."""
    attends = ["CrossAttn" in block for block in config.down_block_types]
    return 2 ** attends.index(True)


_SD15: Config = {
    "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768,
    "attention_head_dim": 8,
}  # fmt: skip
_SDXL: Config = {
    "sample_size": 128, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip

SD = Family(
    name="sd",
    pipelines=("StableDiffusionPipeline",),
    denoiser="unet",
    self_attention=re.compile(
        r"((down|up)_blocks\.\d+|mid_block)\.attentions\.\d+\.transformer_blocks\.\d+\.attn1"
    ),
    predict=_predict_sd,
    condition=_condition_sd,
    nulls=encoded(
        empty_prompt("prompt_embeds", num_images_per_prompt=1, do_classifier_free_guidance=False)
    ),
    schedule=DDPMSchedule.of,
    patch=_patch,
    image_tokens=image_first,
    feature_map=lambda layer: layer.partition(".transformer_blocks.")[0],
    sample_size=trained_at(64),
    stages=("down_blocks", "mid_block", "up_blocks"),
    prompt=PromptFormat(cross_attention=CROSS_ATTENTION),
    denoiser_class="UNet2DConditionModel",
    config=_SD15,
    vae_config=SD_VAE,
    scheduler=("DDIMScheduler", SCALED_LINEAR),
)

SDXL = replace(
    SD,
    name="sdxl",
    pipelines=("StableDiffusionXLPipeline",),
    predict=_predict_sdxl,
    condition=_condition_sdxl,
    # Zeros are what the model was trained with where there was no prompt, and need no encoder.
    nulls={
        "zeros": Null((), _zeros),
        **encoded(
            empty_prompt(
                "prompt_embeds", "", "pooled_prompt_embeds", do_classifier_free_guidance=False
            ),
            TWO_ENCODERS,
        ),
    },
    float32_vae=True,
    sample_size=trained_at(128),
    config=_SDXL,
    vae_config=SDXL_VAE,
)
