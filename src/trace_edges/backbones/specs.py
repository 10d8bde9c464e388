"""Everything that differs between denoisers, as data: a `Family` for each file of `families/`.

A family states which modules hold self-attention, which of its tokens are the image's, how the
denoiser is called without a prompt, where the null prompt comes from, how a prompt is read, and
which checkpoints have names. Everything else (latents, trajectory, capture) is shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor

from trace_edges.backbones.checkpoints import CHECKPOINTS, Checkpoint, Config
from trace_edges.backbones.latents import KL, Autoencoder
from trace_edges.backbones.schedules import FlowSchedule, Schedule

NullCondition = dict[str, Tensor]
"""Inputs of the denoiser in place of a prompt; every tensor has a batch of one in front."""

Shapes = dict[str, tuple[int, ...]]


def trained_at(default: int) -> Callable[[Any], int]:
    """The `sample_size` of a config, in latents; of a rectangle, that of the square of its area.

    Args:
        default: where the config does not say.
    """

    def sample_size(config: Any) -> int:
        size = config.get("sample_size") or default
        return size if isinstance(size, int) else round(prod(size) ** 0.5)

    return sample_size


_TRAINED_AT = trained_at(128)


@dataclass(frozen=True)
class Defaults:
    """Meaning of `None` in the settings, for this checkpoint; stored beside it in trace_edges.json.

    Attributes:
        resolution: sqrt(H * W) in pixels of what the model sees.
        subcell: k x k views shifted by 1/k of an attention cell.
        half_edge: e0 in nats: edges = E / (E + e0), so a divergence of e0 is an edge of 0.5. None:
            of every map its own (`own_half_edge`).
        emergence_resolution: where the KL curve is read; None: where the edges are (the paper's).
    """

    resolution: int
    subcell: int = 1
    half_edge: float | None = None
    emergence_resolution: int | None = None


@dataclass(frozen=True)
class Null:
    """A kind of null condition.

    Attributes:
        components: of the pipeline, that it needs with their weights; besides them the pipeline
            has the denoiser, without weights.
        encode: (pipeline, device) -> the null condition.
    """

    components: tuple[str, ...]
    encode: Callable[[Any, torch.device], NullCondition]


@dataclass(frozen=True)
class PromptFormat:
    """Rules by which a family's pipeline makes a text of a prompt, and the image attends to it.

    Attributes:
        tokenizers: names of the pipeline's tokenizers -> where their tokens start among the text's.
            Those of a second encoder that fills other channels of the same tokens are left out.
        cross_attention: full names of the modules in which the image attends to the text alone;
            None: they share the softmax of the self-attention.
        lowercase: the pipeline puts the prompt in lower case.
        template: (pipeline, prompt) -> the text that the tokenizers are given.
        max_tokens: that are read at most; None: as many as the null condition has.
        dropped: (pipeline) -> tokens at the start of which the encoder's output is left out.
        filling: (tokens) -> those put in front and behind, that the image sees as well; None: the
            tokenizer fills up to the longest.
        visible_padding: tokens of the padding that are seen as the text's own.
        padding_bias: what is added to the logits of the others; -inf: they cannot be seen.
        registers: tokens in front of the text, where the image's come last in a joint softmax.
        image_multiple: in a joint softmax the image's tokens, where they come first, are filled up
            to a multiple of it.
        prompt_row: of a batch with and without the prompt, the one with it.
        guidance: the pipeline's argument for the scale of it.
    """

    tokenizers: Mapping[str, int] = field(default_factory=lambda: {"tokenizer": 0})
    cross_attention: re.Pattern[str] | None = None
    lowercase: bool = False
    template: Callable[[Any, str], str] = lambda pipeline, prompt: prompt
    max_tokens: int | None = None
    dropped: Callable[[Any], int] = lambda pipeline: 0
    filling: Callable[[int], tuple[int, int]] | None = None
    visible_padding: int = 0
    padding_bias: float = 0.0
    registers: int = 0
    image_multiple: int = 1
    prompt_row: int = -1
    guidance: str = "guidance_scale"


@dataclass(frozen=True, kw_only=True)
class Family:
    """Denoisers that are run alike.

    Attributes:
        name: as results and errors have it.
        pipelines: diffusers pipeline classes (`_class_name` of model_index.json) it covers.
        denoiser: the pipeline's component that holds the attention, "transformer" or "unet".
        self_attention: full names of the self-attention modules inside the denoiser.
        predict: (denoiser, latents, timesteps (B,), null, repeated B times) -> the denoiser's raw
            output, (B, C or more, h, w). Of a flow model the velocity from image to noise.
        condition: (config of the denoiser) -> the null condition's tensors and their shapes.
        nulls: kinds of null condition by name; the first one is the default.
        schedule: (scheduler of diffusers) -> the noise of each step.
        image_tokens: (N image tokens, all tokens of a joint attention) -> which are the image's.
        prompt: how it reads a prompt; None: not known.
        denoiser_class: of diffusers.
        config: of the denoiser of its named checkpoints, where it is not the class's default; with
            it and the next two a model is made without its weights, to count what it costs before
            it is fetched, and to read a single file that brings no config.
        vae_config: likewise.
        scheduler: class and config.
        channels: (config of the denoiser) -> of the latents.
        patch: (config of the denoiser) -> latents along a side of one token, on the finest grid.
        sample_size: (config of the denoiser) -> latents along a side that it was trained at.
        stages: beginnings of the names of its layers, in the order in which they are run; none:
            as they are defined.
        feature_map: (name of a layer) -> the module whose input is the feature map (B, C, h, w)
            that its tokens come from; None: tokens are patches of the latent, in all layers.
        image_output: which output of a block holds the image's tokens, if it has several.
        autoencoder: the kind of its VAE.
        float32_vae: the VAE overflows in float16, and keeps float32.
    """

    name: str
    pipelines: tuple[str, ...]
    denoiser: str = "transformer"
    self_attention: re.Pattern[str]
    predict: Callable[[Any, Tensor, Tensor, NullCondition], Tensor]
    condition: Callable[[Any], Shapes]
    nulls: Mapping[str, Null]
    schedule: Callable[[Any], Schedule] = FlowSchedule.of
    image_tokens: Callable[[int, int], slice]
    prompt: PromptFormat | None = None
    denoiser_class: str
    config: Config = field(default_factory=dict)
    vae_config: Config = field(default_factory=dict)
    scheduler: tuple[str, Config] = ("FlowMatchEulerDiscreteScheduler", {})
    channels: Callable[[Any], int] = lambda config: config.in_channels
    patch: Callable[[Any], int] = lambda config: config.patch_size
    sample_size: Callable[[Any], int] = _TRAINED_AT
    stages: tuple[str, ...] = ()
    feature_map: Callable[[str], str] | None = None
    image_output: int = -1
    autoencoder: Autoencoder = KL
    float32_vae: bool = False

    @property
    def checkpoints(self) -> dict[str, Checkpoint]:
        """Those of its models that have names."""
        return {name: row for name, row in CHECKPOINTS.items() if row.family == self.name}

    @property
    def default_null(self) -> str:
        """The kind of null condition that is taken unless another is asked for."""
        return next(iter(self.nulls))

    def layers(self, denoiser: torch.nn.Module) -> list[str]:
        """Full names of the self-attention modules of this denoiser, in the order of a pass."""
        named = [
            name for name, _ in denoiser.named_modules() if self.self_attention.fullmatch(name)
        ]
        place = {stage: number for number, stage in enumerate(self.stages)}
        return sorted(named, key=lambda name: place.get(name.partition(".")[0], 0))

    def denoiser_config(self, name: str) -> Config:
        """Config of the denoiser of a named checkpoint."""
        return self.config | self.checkpoints[name].config

    def noise_scheduler(self, name: str, **changes: Any) -> Any:
        """The scheduler of diffusers of a named checkpoint, with changes of its config."""
        import diffusers

        kind, config = self.scheduler
        return getattr(diffusers, kind)(
            **config | self.checkpoints[name].scheduler_config | changes
        )

    def vae_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """The number type of the VAE beside a denoiser of this one."""
        return torch.float32 if self.float32_vae and dtype == torch.float16 else dtype


def image_first(image: int, tokens: int) -> slice:
    """The image's tokens lead; with no others there, they are all."""
    return slice(0, image)


def image_last(image: int, tokens: int) -> slice:
    """The image's tokens come behind those of the text; with no others there, they are all."""
    return slice(tokens - image, tokens)
