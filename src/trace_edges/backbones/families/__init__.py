"""The table of families, a row each: a new one is a row here and a test."""

from collections.abc import Mapping
from typing import Any

from trace_edges.backbones.families.aura_flow import AURA_FLOW
from trace_edges.backbones.families.chroma import CHROMA
from trace_edges.backbones.families.cogview4 import COGVIEW4
from trace_edges.backbones.families.flux import FLUX
from trace_edges.backbones.families.flux2 import FLUX2
from trace_edges.backbones.families.hunyuan_dit import HUNYUAN_DIT
from trace_edges.backbones.families.lumina2 import LUMINA2
from trace_edges.backbones.families.pixart import PIXART, PIXART_SIGMA
from trace_edges.backbones.families.qwen_image import QWEN_IMAGE
from trace_edges.backbones.families.sd3 import SD3
from trace_edges.backbones.families.unet import SD, SDXL
from trace_edges.backbones.families.z_image import Z_IMAGE
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.sources import Source
from trace_edges.backbones.specs import Family

FAMILIES: tuple[Family, ...] = (
    SD, SDXL, PIXART, PIXART_SIGMA, HUNYUAN_DIT, SD3, AURA_FLOW, FLUX, CHROMA, LUMINA2, COGVIEW4,
    QWEN_IMAGE, Z_IMAGE, FLUX2,
)  # fmt: skip

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
