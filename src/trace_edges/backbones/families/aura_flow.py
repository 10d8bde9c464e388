"""AuraFlow: joint blocks, then single ones; registers and text come before the image's tokens.

Its positions are learnt, a square of them, of which the middle is taken.
"""

from __future__ import annotations

import re
from math import isqrt
from typing import Any

from torch import Tensor

from trace_edges.backbones.families.shared import SDXL_VAE, empty_prompt, encoded
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.specs import Family, NullCondition, PromptFormat, image_last

_TOKENS = 256  # of T5, padding included: it is zeros, and attended to
_SAMPLE_SIZE = 128  # what it was trained at; its config says half of that


def _predict(denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition) -> Tensor:
    _check_positions(denoiser.config, *latents.shape[-2:])
    return denoiser(
        latents,
        encoder_hidden_states=null["prompt_embeds"],
        timestep=timesteps / 1000,
    ).sample


def _check_positions(config: Any, *sides: int) -> None:
    """Raise where diffusers would silently take positions of other cells.

    Raises:
        BackboneError: a side has more cells than there are positions.
    """
    cells, most = (max(sides) // config.patch_size), isqrt(config.pos_embed_max_size)
    if cells > most:
        raise BackboneError(
            f"this AuraFlow has positions for {most} cells along a side, not for {cells}: ask for "
            f"a resolution of {most / cells:.0%} of this one, or less"
        )


AURA_FLOW = Family(
    name="auraflow",
    pipelines=("AuraFlowPipeline",),
    self_attention=re.compile(r"(joint|single)_transformer_blocks\.\d+\.attn"),
    predict=_predict,
    condition=lambda config: {"prompt_embeds": (1, _TOKENS, config.joint_attention_dim)},
    nulls=encoded(empty_prompt("prompt_embeds", do_classifier_free_guidance=False)),
    image_tokens=image_last,
    sample_size=lambda config: _SAMPLE_SIZE,
    float32_vae=True,  # that of SDXL
    prompt=PromptFormat(registers=8),
    denoiser_class="AuraFlowTransformer2DModel",
    config={"pos_embed_max_size": 4096},
    vae_config=SDXL_VAE,
)
