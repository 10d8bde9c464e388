"""Vision transformers without diffusion, read as the paper reads them for comparison."""

from trace_edges.backbones.encoder_table import ENCODERS, Encoder
from trace_edges.backbones.encoders.encoder import EncoderBackbone
from trace_edges.backbones.encoders.loading import is_encoder, load_encoder

__all__ = ["ENCODERS", "Encoder", "EncoderBackbone", "is_encoder", "load_encoder"]
