"""FLUX.2, dev and klein: double blocks, then single ones; the text's tokens before the image's.

The single blocks make queries, keys, values and the way into the MLP in one projection. 2 x 2
latents are packed into the channels of one token, and normalised as such.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trace_edges.backbones.families.packing import PATCH, pack, unpack
from trace_edges.backbones.latents import FLUX2_KL
from trace_edges.backbones.schedules import FlowSchedule
from trace_edges.backbones.specs import Family, Null, NullCondition, Shapes, image_last

_TOKENS = 512  # of the language model, padding included: it is attended to
_NO_GUIDANCE = 1.0  # what the distilled guidance calls none


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    b, (h, w) = len(latents), (side // PATCH for side in latents.shape[-2:])
    embeds = null["prompt_embeds"].expand(b, -1, -1)
    guidance = latents.new_full((b,), _NO_GUIDANCE) if denoiser.config.guidance_embeds else None
    output = denoiser(
        hidden_states=pack(latents),
        timestep=timesteps / 1000,
        guidance=guidance,
        encoder_hidden_states=embeds,
        txt_ids=_positions((1, 1, 1, embeds.shape[1]), latents),
        img_ids=_positions((1, h, w, 1), latents),
    ).sample
    return unpack(output, latents)


def _positions(sides: tuple[int, int, int, int], like: Tensor) -> Float[Tensor, "n 4"]:
    """(image, row, column, word) of every token, the last index fastest."""
    axes = (torch.arange(side, dtype=torch.float32, device=like.device) for side in sides)
    return torch.cartesian_prod(*axes)


def _condition(config: Any) -> Shapes:
    return {"prompt_embeds": (1, _TOKENS, config.joint_attention_dim)}


def _encode(pipeline: Any, device: torch.device) -> NullCondition:
    embeds, _ = pipeline.encode_prompt("", device=device, max_sequence_length=_TOKENS)
    return {"prompt_embeds": embeds}


FLUX2 = Family(
    name="flux2",
    pipelines=("Flux2Pipeline", "Flux2KleinPipeline"),
    denoiser="transformer",
    self_attention=re.compile(r"(single_)?transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=_condition,
    nulls={"encoded": Null(("text_encoder", "tokenizer"), _encode)},
    schedule=FlowSchedule.of,
    channels=lambda config: config.in_channels // PATCH**2,
    patch=lambda config: PATCH,
    image_tokens=image_last,
    autoencoder=FLUX2_KL,
)
