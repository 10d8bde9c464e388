"""FLUX.2, dev and klein: double blocks, then single ones; the text's tokens before the image's.

The single blocks make queries, keys, values and the way into the MLP in one projection. 2 x 2
latents are packed into the channels of one token, and normalised as such.
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
    positions,
    run_packed,
    user_message,
)
from trace_edges.backbones.latents import Autoencoder, Normalisation
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, image_last

_TOKENS = 512  # of the language model, padding included: it is attended to
_NO_GUIDANCE = 1.0  # what the distilled guidance calls none


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    embeds, guides = null["prompt_embeds"], denoiser.config.guidance_embeds
    guidance = latents.new_full((len(latents),), _NO_GUIDANCE) if guides else None
    return run_packed(
        denoiser,
        latents,
        timesteps,
        guidance=guidance,
        encoder_hidden_states=embeds,
        # (image, row, column, word)
        txt_ids=positions((1, 1, 1, embeds.shape[1]), latents),
        img_ids=positions((1, *packed_grid(latents), 1), latents),
    )


def _batch_norm(vae: Any) -> Normalisation:
    """Mean and scale that the batch norm of the VAE has met in training."""
    mean, variance = (
        t.float().reshape(-1, 1, 1) for t in (vae.bn.running_mean, vae.bn.running_var)
    )
    return mean, (variance + vae.config.batch_norm_eps).rsqrt()


def _chat(pipeline: Any, prompt: str) -> str:
    """A user's message; dev, not klein, puts one of the system in front."""
    system = getattr(pipeline, "system_message", None)
    if system is None:
        return user_message(pipeline, prompt, enable_thinking=False)
    messages = [
        {"role": role, "content": [{"type": "text", "text": text}]}
        for role, text in (("system", system), ("user", prompt))
    ]
    return pipeline.tokenizer.apply_chat_template(messages, tokenize=False)


# As diffusers converts klein and, by default, dev; a config on the hub was not read.
FLUX2 = Family(
    name="flux2",
    pipelines=("Flux2Pipeline", "Flux2KleinPipeline"),
    self_attention=re.compile(r"(single_)?transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=lambda config: {"prompt_embeds": (1, _TOKENS, config.joint_attention_dim)},
    nulls=encoded(empty_prompt("prompt_embeds", max_sequence_length=_TOKENS)),
    channels=lambda config: config.in_channels // PATCH**2,
    patch=lambda config: PATCH,
    image_tokens=image_last,
    autoencoder=Autoencoder("AutoencoderKLFlux2", _batch_norm, packing=2),
    prompt=PromptFormat(template=_chat),
    denoiser_class="Flux2Transformer2DModel",
)
