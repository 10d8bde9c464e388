"""Training runs of any model: the loop, checkpoints, curves, the running average of weights."""

from trace_edges.training.checkpoint import (
    Weights,
    check_checkpoint,
    checkpoint_bytes,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from trace_edges.training.curves import Curves, read_curves
from trace_edges.training.loop import (
    BEST,
    CHECKPOINT,
    BatchSize,
    Best,
    Rate,
    Stage,
    averaged,
    falling_cosine,
    falling_line,
    fit,
    follow_weights,
)

__all__ = [
    "BEST",
    "CHECKPOINT",
    "BatchSize",
    "Best",
    "Curves",
    "Rate",
    "Stage",
    "Weights",
    "averaged",
    "check_checkpoint",
    "checkpoint_bytes",
    "falling_cosine",
    "falling_line",
    "fit",
    "follow_weights",
    "load_checkpoint",
    "read_curves",
    "save_checkpoint",
    "save_weights",
]
