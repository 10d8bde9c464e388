"""Stable Diffusion 1.x and 2.x, and SDXL: a UNet whose self-attention lives on several grids.

Its layers see the image's tokens only; the prompt comes in by cross-attention. A feature map of
odd sides is halved upwards, so a layer's grid is read from the feature map that it is given.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.schedules import DDPMSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_first

_TOKENS = 77  # of CLIP
_TIME_IDS = 6
_SELF_ATTENTION = re.compile(
    r"(down_blocks\.\d+|mid_block|up_blocks\.\d+)\.attentions\.\d+\.transformer_blocks\.\d+\.attn1"
)


def _predict_sd(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    embeds = null["prompt_embeds"].expand(len(latents), -1, -1)
    return denoiser(latents, timesteps, encoder_hidden_states=embeds).sample


def _predict_sdxl(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, _, h, w = latents.shape
    height, width = 8 * h, 8 * w  # in pixels, as in training
    sizes = [height, width, 0, 0, height, width]  # original, crop's corner, target
    return denoiser(
        latents,
        timesteps,
        encoder_hidden_states=null["prompt_embeds"].expand(b, -1, -1),
        added_cond_kwargs={
            "text_embeds": null["pooled_prompt_embeds"].expand(b, -1),
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


def _encode_sd(pipeline: Any, device: torch.device) -> NullCondition:
    embeds, _ = pipeline.encode_prompt("", device, 1, do_classifier_free_guidance=False)
    return {"prompt_embeds": embeds}


def _encode_sdxl(pipeline: Any, device: torch.device) -> NullCondition:
    embeds, _, pooled, _ = pipeline.encode_prompt(
        "", device=device, do_classifier_free_guidance=False
    )
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


def _zeros(pipeline: Any, device: torch.device) -> NullCondition:
    """What SDXL's own pipeline takes for no prompt (`force_zeros_for_empty_prompt`)."""
    shapes = _condition_sdxl(pipeline.unet.config)
    return {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}


def _patch(config: Any) -> int:
    """The UNet halves its feature map behind every block; the first one with attention counts."""
    attends = ["CrossAttn" in block for block in config.down_block_types]
    return 2 ** attends.index(True)


def _feature_map(layer: str) -> str:
    return layer.partition(".transformer_blocks.")[0]


SD = Family(
    name="sd",
    pipelines=("StableDiffusionPipeline",),
    denoiser="unet",
    self_attention=_SELF_ATTENTION,
    predict=_predict_sd,
    condition=_condition_sd,
    nulls={"encoded": Null(("text_encoder", "tokenizer"), _encode_sd)},
    schedule=DDPMSchedule.of,
    channels=lambda config: config.in_channels,
    patch=_patch,
    image_tokens=image_first,
    feature_map=_feature_map,
)

SDXL = Family(
    name="sdxl",
    pipelines=("StableDiffusionXLPipeline",),
    denoiser="unet",
    self_attention=_SELF_ATTENTION,
    predict=_predict_sdxl,
    condition=_condition_sdxl,
    # Zeros are what the model was trained with where there was no prompt, and need no encoder.
    nulls={
        "zeros": Null((), _zeros),
        "encoded": Null(
            ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"), _encode_sdxl
        ),
    },
    schedule=DDPMSchedule.of,
    channels=lambda config: config.in_channels,
    patch=_patch,
    image_tokens=image_first,
    feature_map=_feature_map,
    float32_vae=True,
)
