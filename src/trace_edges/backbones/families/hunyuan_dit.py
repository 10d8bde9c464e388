"""HunyuanDiT: a diffusion transformer that attends to the prompt by cross-attention.

Its self-attention sees the image's tokens only; two text encoders, each with a mask.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.families.shared import (
    CROSS_ATTENTION,
    SCALED_LINEAR,
    SDXL_VAE,
    TWO_ENCODERS,
    encoded,
)
from trace_edges.backbones.schedules import DDPMSchedule
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, Shapes, image_first

_SQUARE = 512 // 8  # latents along a side of the square into which all grids are laid


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, _, h, w = latents.shape
    sizes = [8 * h, 8 * w, 8 * h, 8 * w, 0, 0]  # original, target, crop's corner, in pixels
    return denoiser(
        latents,
        timesteps.to(latents.dtype),
        encoder_hidden_states=null["prompt_embeds"],
        text_embedding_mask=null["prompt_attention_mask"],
        encoder_hidden_states_t5=null["prompt_embeds_2"].contiguous(),
        text_embedding_mask_t5=null["prompt_attention_mask_2"],
        # Both of 1.0 and 1.1 alone.
        image_meta_size=latents.new_tensor([sizes]).repeat(b, 1),
        style=torch.zeros(b, dtype=torch.int64, device=latents.device),
        image_rotary_emb=_rotary(denoiser.config, h, w, latents.device),
    ).sample


def _rotary(config: Any, h: int, w: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every token (N, d): the longer side spans the square, in its middle."""
    from diffusers.models.embeddings import get_2d_rotary_pos_embed

    grid, square = (h // config.patch_size, w // config.patch_size), _SQUARE // config.patch_size
    sides = [round(square * side / max(grid)) for side in grid]
    start = [round((square - side) / 2) for side in sides]
    stop = [first + side for first, side in zip(start, sides, strict=True)]
    return get_2d_rotary_pos_embed(
        config.attention_head_dim, (start, stop), grid, device=device, output_type="pt"
    )


def _condition(config: Any) -> Shapes:
    return {
        "prompt_embeds": (1, config.text_len, config.cross_attention_dim),
        "prompt_attention_mask": (1, config.text_len),
        "prompt_embeds_2": (1, config.text_len_t5, config.cross_attention_dim_t5),
        "prompt_attention_mask_2": (1, config.text_len_t5),
    }


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    null: NullCondition = {}
    config = pipeline.transformer.config
    for index, (end, tokens) in enumerate((("", config.text_len), ("_2", config.text_len_t5))):
        embeds, _, mask, _ = pipeline.encode_prompt(
            "", device=device, do_classifier_free_guidance=False, max_sequence_length=tokens,
            text_encoder_index=index,
        )  # fmt: skip
        null |= {f"prompt_embeds{end}": embeds, f"prompt_attention_mask{end}": mask}
    return null


_CONFIG = {
    "sample_size": 128, "in_channels": 4, "patch_size": 2, "num_layers": 40, "hidden_size": 1408,
    "mlp_ratio": 4.3637, "use_style_cond_and_image_meta_size": False,
}  # fmt: skip
_SCHEDULER = SCALED_LINEAR | {"beta_end": 0.018, "prediction_type": "v_prediction"}

HUNYUAN_DIT = Family(
    name="hunyuan-dit",
    pipelines=("HunyuanDiTPipeline",),
    self_attention=re.compile(r"blocks\.\d+\.attn1"),
    predict=_predict,
    condition=_condition,
    nulls=encoded(_encode, TWO_ENCODERS),
    schedule=DDPMSchedule.of,
    image_tokens=image_first,
    # Of BERT, and of T5; where they are padding, a learnt token is seen instead.
    prompt=PromptFormat({"tokenizer": 0, "tokenizer_2": 77}, CROSS_ATTENTION, max_tokens=77 + 256),
    denoiser_class="HunyuanDiT2DModel",
    config=_CONFIG,
    vae_config=SDXL_VAE,
    scheduler=("DDPMScheduler", _SCHEDULER),
)
