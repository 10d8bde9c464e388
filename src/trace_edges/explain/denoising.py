"""An image made from a prompt, with self-attention and the attention to each word at every step.

diffusers' own pipeline makes it; the attention is read where it passes, and changes nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from trace_edges.attention import AttentionRecorder, Grid, MapAverage, alone
from trace_edges.attention.maps import WordAverage
from trace_edges.backbones import BackboneError, DiffusionBackbone
from trace_edges.backbones.explained import explained
from trace_edges.backbones.listed import Listed
from trace_edges.backbones.pipelines import checked_denoiser, read_pipeline
from trace_edges.backbones.quantization import quantization_config
from trace_edges.backbones.sources import find_source
from trace_edges.explain.settings import PromptSettings
from trace_edges.explain.words import (
    Reading,
    joint_text,
    logit_bias,
    prompt_format,
    read_prompt,
    text_length,
)
from trace_edges.training_free.emergence import map_change

# Components for safety and for prompts that are images; none of them is read here.
_UNREAD = ("safety_checker", "feature_extractor", "image_encoder")


@dataclass(frozen=True)
class Moment:
    """The attention of one step of the denoising.

    Attributes:
        timestep: of the scheduler, 1000 being noise.
        attention: self-attention with the prompt, averaged over heads and layers.
        words: (W, h, w) share of its attention that each place of the image pays to each word,
            averaged over heads and layers, in [0, 1].
        grid: (h, w).
    """

    timestep: int
    attention: Float32[Tensor, "1 n n"]
    words: Float32[Tensor, "w gh gw"]
    grid: Grid


@dataclass(frozen=True)
class Denoising:
    """An image and how it came to be.

    Attributes:
        image: as the pipeline made it.
        words: of the prompt, in its order, each once.
        timesteps: of the steps, from noise to image.
        curve: KL(SA after || SA before) in nats of each step but the first: the paper's change,
            with the noisier map in second place. Entry i lies between steps i and i + 1.
    """

    image: UInt8[np.ndarray, "h w 3"]
    words: tuple[str, ...]
    timesteps: tuple[int, ...]
    curve: Float32[np.ndarray, " s1"]

    @property
    def emergence(self) -> int:
        """Index of t*: the noisier of the two steps between which self-attention changes most."""
        return int(self.curve.argmax()) if len(self.curve) else 0


def load_generator(
    name: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
    variant: str | None = None,
    prediction_type: str | None = None,
    quantize: str | None = None,
    offload: bool = False,
    vae_tiling: bool = False,
) -> tuple[Any, DiffusionBackbone]:
    """The whole pipeline of a backbone, text encoders and all, and the backbone inside of it.

    Args: as of `load_backbone` and `Loading`.

    Raises:
        BackboneError: it cannot be found or read, or follows no prompt.
    """
    source = find_source(name, revision, local_files_only, variant)
    if source.is_file:
        raise BackboneError(f"{source} is a single file without text encoders: give a folder")
    listed = Listed.of(source)
    family, components = listed.family, listed.components
    prompt_format(family)  # there must be one
    lacking = {part for part, is_there in components.items() if not is_there}
    encoders = [set(null.components) for null in family.nulls.values() if null.components]
    if all(lacking & needed for needed in encoders):
        raise BackboneError(
            f"backbone {source.name!r} has no text encoder, and can follow no prompt: take one "
            "that has (--backbone sd15), or give an image"
        )
    wanted = [part for part in components if part not in lacking.union(_UNREAD)]
    quantization = quantization_config(quantize, dtype)
    with explained(str(source)):
        checked_denoiser(listed)
        pipeline = read_pipeline(listed, wanted, dtype, quantization)
    pipeline.set_progress_bar_config(disable=True)
    schedule = family.schedule(pipeline.scheduler)
    if prediction_type is not None:
        schedule = schedule.predicting(prediction_type)
        pipeline.scheduler.register_to_config(prediction_type=prediction_type)
    denoiser = getattr(pipeline, family.denoiser)
    backbone = DiffusionBackbone(str(name), family, denoiser, pipeline.vae, schedule, {})
    if vae_tiling:
        pipeline.vae.enable_tiling()
    if offload:
        pipeline.enable_model_cpu_offload(device=device)
        return pipeline, backbone
    return pipeline.to(device), backbone


def denoise(
    pipeline: Any,
    backbone: DiffusionBackbone,
    prompt: str,
    settings: PromptSettings | None = None,
    on_step: Callable[[Moment], None] | None = None,
) -> Denoising:
    """Make an image from a prompt and read its attention on the way.

    Args:
        pipeline, backbone: of `load_generator`.
        prompt: of at least one word.
        on_step: called with every step while its attention is alive, and must not keep it.

    Raises:
        ValueError: the prompt has no word, or too many.
        RecorderError: a layer's attention did not pass through SDPA.
    """
    settings = settings or PromptSettings()
    with alone(backbone.denoiser):
        reading = read_prompt(pipeline, backbone.family, prompt)
    cell, side = backbone.cell, backbone.defaults.resolution
    height, width = (
        max(2, round((length or side) / cell)) * cell
        for length in (settings.height, settings.width)
    )
    curve: list[float] = []
    timesteps: list[int] = []
    before: Tensor | None = None

    def read(attention: Tensor, words: Tensor, grid: Grid) -> None:
        nonlocal before
        # All loops of diffusers go through these, a step each.
        timesteps.append(round(float(pipeline.scheduler.timesteps[len(timesteps)])))
        if before is not None:
            curve.append(float(map_change(attention, before, grid)))
        if on_step is not None:
            on_step(Moment(timesteps[-1], attention, words, grid))
        before = attention

    # The scheduler and the text encoders are one thread's, too.
    with (
        alone(backbone.denoiser),
        _recording(backbone, reading, (height // cell, width // cell), read),
    ):
        image = pipeline(**_call(pipeline, backbone, prompt, height, width, settings)).images[0]
    return Denoising(
        np.asarray(image.convert("RGB")), tuple(reading.words), tuple(timesteps),
        np.array(curve, dtype=np.float32),
    )  # fmt: skip


def _call(
    pipeline: Any,
    backbone: DiffusionBackbone,
    prompt: str,
    height: int,
    width: int,
    settings: PromptSettings,
) -> dict[str, Any]:
    """Arguments of the pipeline's call, of those that it has."""
    taken = inspect.signature(pipeline.__call__).parameters
    text = prompt_format(backbone.family)
    *_, start = text.tokenizers.values()
    wanted = {
        "num_inference_steps": settings.steps,
        text.guidance: settings.guidance,
        "negative_prompt": settings.negative_prompt,
        "max_sequence_length": text_length(pipeline, backbone.family) - start,
    }
    call = {name: value for name, value in wanted.items() if value is not None and name in taken}
    # PixArt, HunyuanDiT: neither another size than was asked for, nor another prompt.
    fixed = {"use_resolution_binning": False, "clean_caption": False}
    call |= {name: value for name, value in fixed.items() if name in taken}
    generator = torch.Generator().manual_seed(settings.seed)
    return call | {"prompt": prompt, "height": height, "width": width, "generator": generator}


@contextmanager
def _recording(
    backbone: DiffusionBackbone,
    reading: Reading,
    finest: Grid,
    on_step: Callable[[Tensor, Tensor, Grid], None],
) -> Iterator[None]:
    """Within, every pass of the denoiser ends in `on_step`, with the attention of the prompt's.

    Guidance is a batch of two, or a second pass over the same latents: the first has the prompt.
    """
    text, family = prompt_format(backbone.family), backbone.family
    modules = [name for name, _ in backbone.denoiser.named_modules()]
    cross_layers = [
        name for name in modules if text.cross_attention and text.cross_attention.fullmatch(name)
    ]
    maps, words = MapAverage(), WordAverage(list(reading.words.values()))
    latents = torch.empty(1, 0, finest[0] * backbone.patch, finest[1] * backbone.patch)
    given: Any = None
    has_prompt = False

    def start(module: Any, inputs: Any, options: Any) -> None:
        nonlocal given, has_prompt
        before, given = given, inputs[0] if inputs else options["hidden_states"]
        has_prompt = given is not before

    with backbone.grids(latents, [*backbone.layers, *cross_layers]) as grid_of:

        def add(layer: str, q: Tensor, k: Tensor, scale: float) -> None:
            if not has_prompt:
                return
            grid = h, w = grid_of(layer)
            row = text.prompt_row % len(q)
            q, k = q[row : row + 1], k[row : row + 1]
            if layer in cross_layers:
                words.add(grid, q, k, scale, 0, logit_bias(text, reading, 0, k))
                return
            image = family.image_tokens(h * w, q.shape[2])
            maps.add(grid, q[:, :, image], k[:, :, image], scale)
            first = joint_text(text, reading, image, k.shape[2])
            if first is not None:
                k = k[:, :, : max(image.stop, first + reading.total)]
                words.add(
                    grid, q[:, :, image], k, scale, first, logit_bias(text, reading, first, k)
                )

        def finish(module: Any, inputs: Any, output: Any) -> None:
            if has_prompt:
                attention, grid = maps.mean()
                on_step(attention, words.mean(grid)[0], grid)

        with (
            backbone.denoiser.register_forward_pre_hook(start, with_kwargs=True),
            backbone.denoiser.register_forward_hook(finish),
            AttentionRecorder(backbone.denoiser, [*backbone.layers, *cross_layers], add),
        ):
            yield
