"""The null condition: read where it is stored, else encoded once and kept, so that the text
encoders, which may be larger than the denoiser, are never loaded again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from trace_edges.backbones.components import named
from trace_edges.backbones.listed import Listed
from trace_edges.backbones.pipelines import empty_denoiser, read_pipeline
from trace_edges.backbones.problems import BackboneError, out_of_memory
from trace_edges.backbones.specs import NullCondition
from trace_edges.files import write_atomically

NULL_CONDITION = "null_condition.safetensors"


def find_null(
    listed: Listed, config: Any, kind: str | None, dtype: torch.dtype, device: torch.device
) -> NullCondition:
    """The null condition of a pipeline: its own file, the one kept, or else freshly encoded.

    Args:
        config: of the denoiser.
        kind: which of the family's; None: null_condition.safetensors beside the pipeline if it is
            there, else the family's default.
        dtype, device: of the text encoders, if they must run.

    Raises:
        BackboneError: there is no such kind, a file lacks a tensor, or an encoder is missing.
    """
    names = tuple(listed.family.condition(config))
    kept = null_file(listed, kind, dtype)
    if kept is not None and kept.exists():
        return _read(kept, names)
    null = _encode(listed, kind or listed.family.default_null, dtype, device)
    if wrong := [name for name, tensor in null.items() if not tensor.isfinite().all()]:
        in_type = str(dtype).removeprefix("torch.")
        raise BackboneError(
            f"the null condition of {listed.source} is not finite in {in_type} ({wrong[0]}): try "
            "--dtype bfloat16 or float32"
        )
    if kept is not None:
        _keep(null, kept)
    return null


def null_file(listed: Listed, kind: str | None, dtype: torch.dtype) -> Path | None:
    """File that holds a null condition or will: by repository, revision, kind, number type.

    None: it is made from nothing, and is not kept.

    Raises:
        BackboneError: the family has no such kind.
    """
    source, family = listed.source, listed.family
    if kind is None and (stored := source.find(NULL_CONDITION)):
        return stored
    kind = kind or family.default_null
    if kind not in family.nulls:
        raise BackboneError(
            f"{source} has no null condition {kind!r}; known: {', '.join(family.nulls)}"
        )
    components = family.nulls[kind].components
    if not components:
        return None
    place = Path(source.place).name if source.is_folder else source.place.replace("/", "--")
    variant = f"-{source.variant}" if source.variant else ""
    name = f"{kind}-{str(dtype).removeprefix('torch.')}{variant}.safetensors"
    return cache_folder() / "null" / place / source.version(components) / name


def cache_folder() -> Path:
    """$TRACE_EDGES_CACHE, else trace-edges in the user's cache."""
    if own := os.environ.get("TRACE_EDGES_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trace-edges"


def _read(path: Path, names: tuple[str, ...]) -> NullCondition:
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise BackboneError(
            f"{path} is damaged ({error}): remove it, to have it made again"
        ) from error
    if missing := [name for name in names if name not in tensors]:
        raise BackboneError(f"{path} lacks {', '.join(missing)}; write it again")
    return {name: tensors[name] for name in names}


def _keep(null: NullCondition, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as temporary:
            save_file({name: t.cpu().contiguous().clone() for name, t in null.items()}, temporary)
    except OSError as error:
        raise BackboneError(
            f"the null condition cannot be stored at {path} ({error.strerror}): "
            "set TRACE_EDGES_CACHE to a folder that can be written"
        ) from error


@torch.inference_mode()
def _encode(listed: Listed, kind: str, dtype: torch.dtype, device: torch.device) -> NullCondition:
    source, family = listed.source, listed.family
    wanted = family.nulls[kind]
    absent = [name for name in wanted.components if not listed.components.get(name)]
    if absent:
        others = [name for name in family.nulls if name != kind]
        raise BackboneError(
            f"{source} has no text encoder to encode the empty prompt with ({absent[0]} is "
            f"missing), and no {NULL_CONDITION}; add one of them"
            + (f", or ask for another null condition ({', '.join(others)})" if others else "")
        )
    empty = {family.denoiser: empty_denoiser(listed)}
    pipeline = read_pipeline(listed, wanted.components, dtype, **empty)
    advice = (
        f"the text encoders of {source} do not fit on {device}: have them run on the CPU "
        f"once, with `trace-edges backbones {source.name} --prepare --device cpu --dtype "
        f"{str(dtype).removeprefix('torch.')}`"
    )
    with out_of_memory(lambda: advice):
        for name in wanted.components:
            if isinstance(module := getattr(pipeline, name), torch.nn.Module):
                module.to(device)
        with named(f"the text encoders of {source} cannot encode the empty prompt"):
            return wanted.encode(pipeline, device)
