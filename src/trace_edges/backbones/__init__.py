"""The models whose self-attention is read: one row of a table per family, one way to run them."""

from trace_edges.backbones.checkpoints import CHECKPOINTS, Checkpoint
from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.families import FAMILIES
from trace_edges.backbones.fitting import explained_memory
from trace_edges.backbones.inventory import Inventory, take_inventory
from trace_edges.backbones.latents import denormalise, encode
from trace_edges.backbones.loading import load_backbone, prepare_null
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.specs import EMBEDDED, Defaults, Family, NullCondition
from trace_edges.backbones.vit import DEFAULT_ENCODER, ENCODERS, ViTBackbone, load_vit

__all__ = [
    "CHECKPOINTS",
    "DEFAULT_ENCODER",
    "EMBEDDED",
    "ENCODERS",
    "FAMILIES",
    "BackboneError",
    "Checkpoint",
    "Defaults",
    "DiffusionBackbone",
    "Family",
    "Inventory",
    "NullCondition",
    "ViTBackbone",
    "denormalise",
    "encode",
    "explained_memory",
    "load_backbone",
    "load_vit",
    "prepare_null",
    "take_inventory",
]
