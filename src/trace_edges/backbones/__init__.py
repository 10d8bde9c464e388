"""The models whose self-attention is read: one row of a table per family, one way to run them."""

from trace_edges.backbones.checkpoints import CHECKPOINTS, Checkpoint
from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.encoders import ENCODERS, EncoderBackbone, load_encoder
from trace_edges.backbones.families import FAMILIES
from trace_edges.backbones.fitting import explained_memory
from trace_edges.backbones.inventory import Inventory, take_inventory
from trace_edges.backbones.latents import denormalise, encode
from trace_edges.backbones.loading import WEIGHT_OPTIONS, load_backbone, prepare_null
from trace_edges.backbones.opening import Backbone, open_backbone
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.specs import EMBEDDED, Defaults, Family, NullCondition
from trace_edges.backbones.vit import DEFAULT_ENCODER, ViTBackbone, load_vit

__all__ = [
    "CHECKPOINTS",
    "DEFAULT_ENCODER",
    "EMBEDDED",
    "ENCODERS",
    "FAMILIES",
    "WEIGHT_OPTIONS",
    "Backbone",
    "BackboneError",
    "Checkpoint",
    "Defaults",
    "DiffusionBackbone",
    "EncoderBackbone",
    "Family",
    "Inventory",
    "NullCondition",
    "ViTBackbone",
    "denormalise",
    "encode",
    "explained_memory",
    "load_backbone",
    "load_encoder",
    "load_vit",
    "open_backbone",
    "prepare_null",
    "take_inventory",
]
