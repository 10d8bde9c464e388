"""The models whose self-attention is read: a file for each family, one way to run them all."""

from trace_edges.backbones.backbone import Backbone
from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.encoders.encoder import EncoderBackbone
from trace_edges.backbones.encoders.loading import load_encoder
from trace_edges.backbones.encoders.table import ENCODERS
from trace_edges.backbones.encoders.vit import DEFAULT_ENCODER, ViTBackbone, load_vit
from trace_edges.backbones.families import CHECKPOINTS, FAMILIES
from trace_edges.backbones.fitting import explained_memory
from trace_edges.backbones.inventory import Inventory, take_inventory
from trace_edges.backbones.latents import denormalise, encode
from trace_edges.backbones.loading import (
    WEIGHT_OPTIONS,
    load_backbone,
    open_backbone,
    prepare_null,
)
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.specs import (
    EMBEDDED,
    TRACE_MINI,
    Checkpoint,
    Defaults,
    Family,
    NullCondition,
)

__all__ = [
    "CHECKPOINTS",
    "DEFAULT_ENCODER",
    "EMBEDDED",
    "ENCODERS",
    "FAMILIES",
    "TRACE_MINI",
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
