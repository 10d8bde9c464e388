"""From a name, a folder, a file or a hub id to a backbone that is ready to run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from trace_edges.backbones.backbone import Backbone
from trace_edges.backbones.checkpoints import EMBEDDED, WEIGHT_OPTIONS
from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.embedded import read_embedded
from trace_edges.backbones.encoders.loading import is_encoder, load_encoder
from trace_edges.backbones.explained import explained
from trace_edges.backbones.listed import Listed
from trace_edges.backbones.nulls import find_null, null_file
from trace_edges.backbones.pipelines import Parts, checked_denoiser, empty_denoiser, read_pipeline
from trace_edges.backbones.problems import BackboneError, out_of_memory
from trace_edges.backbones.quantization import quantization_config
from trace_edges.backbones.single_file import read_single_file
from trace_edges.backbones.sizing import weight_bytes
from trace_edges.backbones.sources import Source, find_source
from trace_edges.backbones.specs import Defaults

DEFAULTS = "trace_edges.json"
_DIFFUSION_OPTIONS = tuple(option for option in WEIGHT_OPTIONS if option != "revision")


def load_backbone(
    name: str | Path = EMBEDDED,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
    variant: str | None = None,
    null: str | None = None,
    prediction_type: str | None = None,
    quantize: str | None = None,
) -> DiffusionBackbone:
    """Load a diffusers pipeline (on disk or on the hub) as a backbone.

    Args:
        name: "trace-mini" (embedded in the package), a name of `CHECKPOINTS` ("sd3.5-large"), a
            folder written by `save_pretrained`, a hub id, or a single .safetensors file. The
            family is recognised from `_class_name` in model_index.json, or from the file's tensors.
            A file null_condition.safetensors in the folder replaces the text encoders;
            trace_edges.json holds `Defaults`.
        dtype: of the weights; softmax and all that follows are float32 in any case.
        device: where the weights go.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the network.
        variant: of the weights' files, as in diffusers ("fp16"); None: the plain ones, else the
            variant that there is.
        null: which null condition, of those the family has; None: the stored one, or the family's
            default.
        prediction_type: what the denoiser predicts, "epsilon" or "v_prediction"; None: what its
            scheduler's config says, of a single file what its markers say, else epsilon.
        quantize: hold the denoiser in fewer bits, by a name of `QUANTIZATIONS`.

    Returns:
        The backbone, with frozen weights.

    Raises:
        BackboneError: not found, unsupported family, or neither null condition nor text encoder.
        MissingExtraError: the library that quantises is not installed.
    """
    source = find_source(name, revision, local_files_only, variant)
    # Named in `loaded_with` only where they were given: records from before have neither.
    given = {"variant": variant, "prediction_type": prediction_type}
    given = {way: value for way, value in given.items() if value is not None}
    if str(name) == EMBEDDED and not (null or quantize or given):
        backbone = read_embedded(dtype)
    else:
        backbone = _read(source, str(name), dtype, device, null, prediction_type, quantize)
    backbone.loaded_with = {
        "null": null, "revision": revision, "quantize": quantize, "vae_tiling": None, **given
    }  # fmt: skip

    def advice() -> str:
        return (
            f"{source} does not fit on {device}: its weights take "
            f"{weight_bytes(backbone) / 2**30:.1f} GiB in {str(dtype).removeprefix('torch.')}; "
            "load it in bfloat16, or on the CPU with enable_model_cpu_offload()"
        )

    with out_of_memory(advice):
        backbone.to(device)
    return backbone


def _read(
    source: Source, name: str, dtype: torch.dtype, device: str | torch.device, null: str | None,
    prediction_type: str | None, quantize: str | None,
) -> DiffusionBackbone:  # fmt: skip
    """A model of diffusers by its files, on the CPU but for what is quantised."""
    read = read_single_file if source.is_file else _read_pipeline
    quantization = quantization_config(quantize, dtype)
    with explained(str(source)):
        parts = read(source, dtype, torch.device(device), null, quantization)
    try:
        schedule = parts.family.schedule(parts.scheduler)
        if prediction_type is not None:
            schedule = schedule.predicting(prediction_type)
    except ValueError as error:
        raise BackboneError(f"{source}: {error}") from error
    return DiffusionBackbone(
        name, parts.family, parts.denoiser, parts.vae, schedule, parts.null, parts.defaults
    )


def open_backbone(name: str | Path = EMBEDDED, **options: Any) -> Backbone:
    """Load a diffusion model (`load_backbone`) or an encoder (`load_encoder`), by what it is.

    Args:
        name: as of these two.
        options: as of `load_backbone`; an encoder has no `null` condition, no `variant`, predicts
            nothing, and is not quantised.

    Raises:
        BackboneError: it is neither, or cannot be found or read.
    """
    revision = options.get("revision")
    if not is_encoder(name, revision, options.get("local_files_only", False)):
        return load_backbone(name, **options)
    if given := [option for option in _DIFFUSION_OPTIONS if options.get(option) is not None]:
        raise BackboneError(f"{name} is not a diffusion model: leave {given[0]} out")
    known = {key: value for key, value in options.items() if key not in _DIFFUSION_OPTIONS}
    return load_encoder(name, **known)


def prepare_null(
    name: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
    variant: str | None = None,
    null: str | None = None,
) -> Path | None:
    """Have the null condition at hand, so that loading needs the text encoders no more.

    Args: as of `load_backbone`; the denoiser's weights are not needed.

    Returns:
        The file it is kept in; None if it needs no encoder.

    Raises:
        BackboneError: as `load_backbone`.
    """
    source = find_source(name, revision, local_files_only, variant)
    listed = Listed.of(source)
    with explained(str(source)):
        find_null(listed, empty_denoiser(listed).config, null, dtype, torch.device(device))
        return null_file(listed, null, dtype)


def _read_pipeline(
    source: Source,
    dtype: torch.dtype,
    device: torch.device,
    null: str | None,
    quantization: Any,
) -> Parts:
    """Read the parts of a folder or a repository of the hub."""
    listed = Listed.of(source)
    family = listed.family
    # First: the text encoders, if they must run, are gone when the denoiser comes.
    condition = find_null(listed, checked_denoiser(listed).config, null, dtype, device)
    # With the null condition at hand, nothing but these three is loaded, or even fetched.
    wanted = (family.denoiser, "vae", "scheduler")
    types = {"default": dtype, "vae": family.vae_dtype(dtype)}
    pipeline = read_pipeline(listed, wanted, types, quantization)
    file = source.find(DEFAULTS)
    return Parts(
        family, getattr(pipeline, family.denoiser), pipeline.vae, pipeline.scheduler, condition,
        _defaults(file) if file else None,
    )  # fmt: skip


def _defaults(path: Path) -> Defaults:
    try:
        return Defaults(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise BackboneError(f"{path} does not hold the defaults of a backbone: {error}") from error
