"""From a name, a folder or a hub id to a backbone that is ready to run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging

from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.families import FAMILIES
from trace_edges.backbones.nulls import components_of, find_null
from trace_edges.backbones.problems import BackboneError, explained
from trace_edges.backbones.sources import Source, find_source
from trace_edges.backbones.specs import EMBEDDED, Defaults, Family

DEFAULTS = "trace_edges.json"


def load_backbone(
    name: str | Path = EMBEDDED,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
    variant: str | None = None,
    null: str | None = None,
) -> DiffusionBackbone:
    """Load a diffusers pipeline (on disk or on the hub) as a backbone.

    Args:
        name: "trace-mini" (embedded in the package), a name of `CHECKPOINTS` ("sd3.5-large"), a
            folder written by `save_pretrained`, or a hub id. The family is recognised from
            `_class_name` in model_index.json. A file null_condition.safetensors in it replaces the
            text encoders; trace_edges.json holds `Defaults`.
        dtype: of the weights; softmax and all that follows are float32 in any case.
        device: where the weights go.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the network.
        variant: of the weights' files, as in diffusers ("fp16").
        null: which null condition, of those the family has; None: the stored one, or the family's
            default.

    Raises:
        BackboneError: not found, unsupported family, or neither null condition nor text encoder.
    """
    source = find_source(name, revision, local_files_only, variant)
    index = source.index()
    family = family_of(source, index)
    # With the null condition at hand, nothing but these three is loaded, or even fetched.
    wanted = (family.denoiser, "vae", "scheduler")
    left_out = {part: None for part in components_of(index) if part not in wanted}
    with explained(str(source)), _quiet_diffusers():
        pipeline = DiffusionPipeline.from_pretrained(
            source.place, dtype=dtype, variant=variant, use_safetensors=True,
            **source.hub, **left_out,
        )  # fmt: skip
        denoiser, vae = getattr(pipeline, family.denoiser), pipeline.vae
        condition = find_null(
            source, family, index, denoiser.config, null, dtype, torch.device(device)
        )
        defaults_file = source.find(DEFAULTS)
    defaults = _defaults(defaults_file) if defaults_file else None
    try:
        schedule = family.schedule(pipeline.scheduler)
    except ValueError as error:
        raise BackboneError(f"{source}: {error}") from error
    if family.float32_vae and dtype == torch.float16:
        vae.to(torch.float32)
    backbone = DiffusionBackbone(str(name), family, denoiser, vae, schedule, condition, defaults)
    return backbone.to(device)


def family_of(source: Source, index: dict[str, Any]) -> Family:
    """The row of the table whose pipelines include this one.

    Raises:
        BackboneError: no row has it.
    """
    pipeline = index.get("_class_name", "none")
    for family in FAMILIES:
        if pipeline in family.pipelines:
            return family
    known = ", ".join(name for family in FAMILIES for name in family.pipelines)
    raise BackboneError(f"{source} is a {pipeline}; supported pipelines: {known}")


def _defaults(path: Path) -> Defaults:
    try:
        return Defaults(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise BackboneError(f"{path} does not hold the defaults of a backbone: {error}") from error


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    """Keep diffusers' bar and its notes on unknown config keys (latents_mean) from the user."""
    verbosity = diffusers_logging.get_verbosity()
    bar = diffusers_logging.is_progress_bar_enabled()
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(verbosity)
        if bar:
            diffusers_logging.enable_progress_bar()
