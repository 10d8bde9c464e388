"""Any backbone by its name: a diffusion model, or an encoder without diffusion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.encoders import EncoderBackbone, is_encoder, load_encoder
from trace_edges.backbones.loading import load_backbone
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.specs import EMBEDDED

Backbone = DiffusionBackbone | EncoderBackbone

_OF_DIFFUSION = ("null", "variant", "quantize")


def open_backbone(name: str | Path = EMBEDDED, **options: Any) -> Backbone:
    """Load a diffusion model (`load_backbone`) or an encoder (`load_encoder`), by what it is.

    Args:
        name: as of these two.
        options: as of `load_backbone`; an encoder has no `null` condition, no `variant`, and is not
            quantised.

    Raises:
        BackboneError: it is neither, or cannot be found or read.
    """
    revision = options.get("revision")
    if not is_encoder(name, revision, options.get("local_files_only", False)):
        return load_backbone(name, **options)
    if given := [option for option in _OF_DIFFUSION if options.get(option) is not None]:
        raise BackboneError(f"{name} is no diffusion model: leave {given[0]} out")
    known = {key: value for key, value in options.items() if key not in _OF_DIFFUSION}
    return load_encoder(name, **known)
