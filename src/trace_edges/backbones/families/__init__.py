"""The table of families, a row each: a new one is a row here and a test."""

from collections.abc import Mapping
from typing import Any

from trace_edges.backbones.families.flux import FLUX
from trace_edges.backbones.families.flux2 import FLUX2
from trace_edges.backbones.families.pixart import PIXART, PIXART_SIGMA
from trace_edges.backbones.families.sd3 import SD3
from trace_edges.backbones.families.unet import SD, SDXL
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.sources import Source
from trace_edges.backbones.specs import Family

FAMILIES: tuple[Family, ...] = (SD, SDXL, PIXART, PIXART_SIGMA, SD3, FLUX, FLUX2)

# What cannot be read, and why.
_UNREADABLE = {
    "Sana": "its self-attention is linear: it has no softmax, and so no attention map to read",
}

__all__ = ["FAMILIES", "family_of"]


def family_of(source: Source, index: Mapping[str, Any]) -> Family:
    """The row of the table whose pipelines include this one.

    Args:
        index: what model_index.json of the source says.

    Raises:
        BackboneError: no row has it.
    """
    pipeline = str(index.get("_class_name", "none"))
    for family in FAMILIES:
        if pipeline in family.pipelines:
            return family
    for start, reason in _UNREADABLE.items():
        if pipeline.startswith(start):
            raise BackboneError(f"{source} is a {pipeline}, which cannot be a backbone: {reason}")
    known = ", ".join(name for family in FAMILIES for name in family.pipelines)
    raise BackboneError(f"{source} is a {pipeline}; supported pipelines: {known}")
