"""Self-attention of a denoiser: recorded without touching the model, averaged as it comes."""

from trace_edges.attention.maps import Grid, MapAverage, add_head_mean, upsample_map
from trace_edges.attention.passes import alone, without_autocast
from trace_edges.attention.recorder import AttentionRecorder, RecorderError

__all__ = [
    "AttentionRecorder",
    "Grid",
    "MapAverage",
    "RecorderError",
    "add_head_mean",
    "alone",
    "upsample_map",
    "without_autocast",
]
