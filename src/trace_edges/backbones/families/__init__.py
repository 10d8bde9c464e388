"""The table of families, a row each: a new one is a row here and a test."""

from trace_edges.backbones.families.flux import FLUX
from trace_edges.backbones.families.pixart import PIXART, PIXART_SIGMA
from trace_edges.backbones.families.sd3 import SD3
from trace_edges.backbones.families.unet import SD, SDXL
from trace_edges.backbones.specs import Family

FAMILIES: tuple[Family, ...] = (SD, SDXL, PIXART, PIXART_SIGMA, SD3, FLUX)

__all__ = ["FAMILIES"]
