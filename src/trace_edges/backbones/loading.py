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
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from safetensors.torch import load_file

from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.specs import (
    EMBEDDED,
    FAMILIES,
    Defaults,
    Family,
    NullCondition,
    embedded_folder,
)
from trace_edges.schedules import DDPMSchedule

NULL_CONDITION = "null_condition.safetensors"
DEFAULTS = "trace_edges.json"


class BackboneError(ValueError):
    """A backbone that cannot be found, is not supported, or lacks a part; one line says which."""


def load_backbone(
    name: str | Path = EMBEDDED,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
) -> DiffusionBackbone:
    """Load a diffusers pipeline folder (on disk or on the hub) as a backbone.

    Args:
        name: "trace-mini" (embedded in the package), a folder written by `save_pretrained`, or a
            hub id. The family is recognised from `_class_name` in model_index.json. A file
            null_condition.safetensors in it (`prompt_embeds`, `prompt_attention_mask`) replaces
            the text encoder; trace_edges.json holds `Defaults`.
        dtype: of the weights; softmax and all that follows are float32 in any case.
        device: where the weights go.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the network.

    Raises:
        BackboneError: not found, unsupported family, or neither null condition nor text encoder.
    """
    source = str(embedded_folder()) if str(name) == EMBEDDED else str(name)
    hub: dict[str, Any] = {"revision": revision, "local_files_only": local_files_only}
    if not source or (not Path(source).is_dir() and source.count("/") != 1):
        raise BackboneError(
            f"backbone {source!r} is neither {EMBEDDED!r}, nor a folder, nor a hub id (owner/name)"
        )
    try:
        with _quiet_diffusers():
            family = _family(source, DiffusionPipeline.load_config(source, **hub))
            null_file, defaults_file = (_find(source, n, **hub) for n in (NULL_CONDITION, DEFAULTS))
            # With the null condition at hand the text encoders need not even be fetched.
            encoders = {"text_encoder": None, "tokenizer": None} if null_file else {}
            pipeline = DiffusionPipeline.from_pretrained(source, dtype=dtype, **encoders, **hub)
    except OSError as error:  # missing, gated, no network: the libraries' text says which
        reason = " ".join(str(error).split())
        raise BackboneError(f"backbone {source!r} could not be loaded: {reason}") from error
    null = _null_condition(null_file) if null_file else _encode_null(source, family, pipeline)
    defaults = _defaults(defaults_file) if defaults_file else None
    schedule = DDPMSchedule(
        pipeline.scheduler.alphas_cumprod.double(), pipeline.scheduler.config.prediction_type
    )
    denoiser = getattr(pipeline, family.denoiser)
    backbone = DiffusionBackbone(
        str(name), family, denoiser, pipeline.vae, schedule, null, defaults
    )
    return backbone.to(device)


def _family(source: str, config: dict[str, Any]) -> Family:
    """The row of the table whose pipelines include this folder's."""
    pipeline = config.get("_class_name", "none")
    for family in FAMILIES:
        if pipeline in family.pipelines:
            return family
    known = ", ".join(name for family in FAMILIES for name in family.pipelines)
    raise BackboneError(f"backbone {source!r} is a {pipeline}; supported pipelines: {known}")


def _find(source: str, name: str, **hub: Any) -> Path | None:
    """A file of the folder or repository, if it carries one of this name."""
    if Path(source).is_dir():
        path = Path(source) / name
        return path if path.exists() else None
    try:
        return Path(hf_hub_download(source, name, **hub))
    except EntryNotFoundError:
        return None


def _null_condition(path: Path) -> NullCondition:
    tensors = load_file(path)
    missing = {"prompt_embeds", "prompt_attention_mask"} - tensors.keys()
    if missing:
        raise BackboneError(f"{path} lacks {', '.join(sorted(missing))}; write it again")
    return NullCondition(tensors["prompt_embeds"], tensors["prompt_attention_mask"])


def _defaults(path: Path) -> Defaults:
    try:
        return Defaults(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise BackboneError(f"{path} does not hold the defaults of a backbone: {error}") from error


def _encode_null(source: str, family: Family, pipeline: Any) -> NullCondition:
    if pipeline.text_encoder is None or pipeline.tokenizer is None:
        raise BackboneError(
            f"backbone {source!r} has no text encoder to encode the empty prompt with, "
            f"and no {NULL_CONDITION}; add one of them"
        )
    with torch.inference_mode():
        return family.null(pipeline)


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
