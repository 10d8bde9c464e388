"""What a row of the table of families holds: all that differs between denoisers.

A family says which modules hold self-attention, which of its tokens are the image's, how the
denoiser is called without a prompt, and where the null prompt comes from. Everything else (latents,
trajectory, capture) is shared. The rows are in `families/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.latents import KL, Autoencoder
from trace_edges.backbones.schedules import Schedule

EMBEDDED = "trace-mini"

NullCondition = dict[str, Tensor]
"""What the denoiser is given in place of a prompt; every tensor has a batch of one in front."""

_SAMPLE_SIZE = 128  # latents along a side, where a config does not say what it was trained at

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Defaults:
    """What `None` means for this checkpoint; stored beside it in trace_edges.json.

    Attributes:
        resolution: sqrt(H * W) in pixels of what the model sees.
        subcell: k x k views shifted by 1/k of an attention cell.
        half_edge: e0 in nats: edges = E / (E + e0), so a divergence of e0 is an edge of 0.5.
        emergence_resolution: where the KL curve is read; None: where the edges are (the paper's).
    """

    resolution: int
    subcell: int = 1
    half_edge: float = 0.5
    emergence_resolution: int | None = None


@dataclass(frozen=True)
class Null:
    """One way to a null condition.

    Attributes:
        components: of the pipeline, that it needs with their weights; besides them the pipeline
            has the denoiser, without weights.
        encode: (pipeline, device) -> the null condition.
    """

    components: tuple[str, ...]
    encode: Callable[[Any, torch.device], NullCondition]


@dataclass(frozen=True)
class Family:
    """One row of the table.

    Attributes:
        pipelines: diffusers pipeline classes (`_class_name` of model_index.json) it covers.
        denoiser: the pipeline's component that holds the attention, "transformer" or "unet".
        self_attention: full names of the self-attention modules inside the denoiser.
        predict: (denoiser, latents, timesteps (B,), null) -> the denoiser's raw output, (B, C or
            more, h, w). Of a flow model this is the velocity from image to noise.
        condition: (config of the denoiser) -> the null condition's tensors and their shapes.
        nulls: ways to the null condition by name; the first one is the default.
        schedule: (scheduler of diffusers) -> the noise of each step.
        channels: (config of the denoiser) -> of the latents.
        patch: (config of the denoiser) -> latents along a side of one token, on the finest grid.
        image_tokens: (N image tokens, all tokens of a joint attention) -> which are the image's.
        sample_size: (config of the denoiser) -> latents along a side that it was trained at.
        feature_map: (name of a layer) -> the module whose input is the feature map (B, C, h, w)
            that its tokens come from; None: tokens are patches of the latent, in all layers.
        image_output: which output of a block holds the image's tokens, if it has several.
        autoencoder: the kind of its VAE.
        float32_vae: the VAE overflows in float16, and keeps float32.
    """

    name: str
    pipelines: tuple[str, ...]
    denoiser: str
    self_attention: re.Pattern[str]
    predict: Callable[[Any, Tensor, Tensor, NullCondition], Tensor]
    condition: Callable[[Any], Shapes]
    nulls: Mapping[str, Null]
    schedule: Callable[[Any], Schedule]
    channels: Callable[[Any], int]
    patch: Callable[[Any], int]
    image_tokens: Callable[[int, int], slice]
    sample_size: Callable[[Any], int] = lambda config: config.get("sample_size", _SAMPLE_SIZE)
    feature_map: Callable[[str], str] | None = None
    image_output: int = -1
    autoencoder: Autoencoder = KL
    float32_vae: bool = False

    @property
    def default_null(self) -> str:
        """The kind of null condition that is taken unless another is asked for."""
        return next(iter(self.nulls))

    def layers(self, denoiser: torch.nn.Module) -> list[str]:
        """Full names of the self-attention modules of this denoiser."""
        return [name for name, _ in denoiser.named_modules() if self.self_attention.fullmatch(name)]


def image_first(image: int, tokens: int) -> slice:
    """The image's tokens lead; with no others there, they are all."""
    return slice(0, image)


def image_last(image: int, tokens: int) -> slice:
    """The image's tokens come behind those of the text; with no others there, they are all."""
    return slice(tokens - image, tokens)


def embedded_folder() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(resources.files("trace_edges"))) / "weights" / EMBEDDED
