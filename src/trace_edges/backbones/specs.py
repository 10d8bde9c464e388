"""The table of families: all that differs between denoisers, each family one row.

A family says which modules hold self-attention, how the denoiser is called without a prompt, and
where the null prompt comes from. Everything else (latents, trajectory, capture) is shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

EMBEDDED = "trace-mini"


@dataclass(frozen=True)
class NullCondition:
    """What the denoiser is given in place of a prompt: the encoded empty string.

    Attributes:
        prompt_embeds: (1, L, C) output of the text encoder.
        prompt_attention_mask: (1, L), 1 for real tokens.
    """

    prompt_embeds: Float[Tensor, "1 l c"]
    prompt_attention_mask: Shaped[Tensor, "1 l"]


@dataclass(frozen=True)
class Defaults:
    """What `None` means for this checkpoint; stored beside it in trace_edges.json.

    Attributes:
        resolution: sqrt(H * W) in pixels of what the model sees.
        refine: k x k views shifted by 1/k of an attention cell.
        half_edge: e0 in nats: edges = E / (E + e0), so a divergence of e0 is an edge of 0.5.
        emergence_resolution: where the KL curve is read; None: where the edges are (the paper's).
    """

    resolution: int
    refine: int = 1
    half_edge: float = 0.5
    emergence_resolution: int | None = None


@dataclass(frozen=True)
class Family:
    """One row of the table.

    Attributes:
        pipelines: diffusers pipeline classes (`_class_name` of model_index.json) it covers.
        denoiser: the pipeline's component that holds the attention, "transformer" or "unet".
        self_attention: full names of the self-attention modules inside the denoiser.
        predict: (denoiser, latents, timesteps (B,), null) -> the denoiser's raw output.
        null: (pipeline) -> the encoded empty prompt, from the pipeline's text encoder.
    """

    name: str
    pipelines: tuple[str, ...]
    denoiser: str
    self_attention: re.Pattern[str]
    predict: Callable[[Any, Tensor, Tensor, NullCondition], Tensor]
    null: Callable[[Any], NullCondition]

    def layers(self, denoiser: torch.nn.Module) -> list[str]:
        """Full names of the self-attention modules of this denoiser."""
        return [name for name, _ in denoiser.named_modules() if self.self_attention.fullmatch(name)]


def _predict_pixart(
    denoiser: Any, latents: Tensor, timesteps: Tensor, null: NullCondition
) -> Tensor:
    b, _, h, w = latents.shape
    conditions: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
    if denoiser.config.use_additional_conditions:
        height, width = 8 * h, 8 * w  # in pixels, as in training
        conditions = {
            "resolution": latents.new_tensor([[height, width]]).expand(b, 2),
            "aspect_ratio": latents.new_tensor([[height / width]]).expand(b, 1),
        }
    return denoiser(
        latents,
        timestep=timesteps,
        encoder_hidden_states=null.prompt_embeds.expand(b, -1, -1),
        # Without the mask the padding tokens would be attended to, and the output changes.
        encoder_attention_mask=null.prompt_attention_mask.expand(b, -1),
        added_cond_kwargs=conditions,
    ).sample


def _null_pixart(pipeline: Any) -> NullCondition:
    embeds, mask, _, _ = pipeline.encode_prompt("", do_classifier_free_guidance=False)
    return NullCondition(embeds, mask)


FAMILIES = (
    Family(
        name="pixart",
        pipelines=("PixArtAlphaPipeline", "PixArtSigmaPipeline"),
        denoiser="transformer",
        self_attention=re.compile(r"transformer_blocks\.\d+\.attn1"),
        predict=_predict_pixart,
        null=_null_pixart,
    ),
)


def embedded_folder() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(resources.files("trace_edges"))) / "weights" / EMBEDDED
