"""The models whose self-attention is read: one row of a table per family, one way to run them."""

from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.latents import denormalise, encode
from trace_edges.backbones.loading import BackboneError, load_backbone
from trace_edges.backbones.specs import EMBEDDED, FAMILIES, Defaults, Family, NullCondition

__all__ = [
    "EMBEDDED",
    "FAMILIES",
    "BackboneError",
    "Defaults",
    "DiffusionBackbone",
    "Family",
    "NullCondition",
    "denormalise",
    "encode",
    "load_backbone",
]
