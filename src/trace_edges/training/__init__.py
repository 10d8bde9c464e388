"""Training runs of any model: the loop, checkpoints, curves, the running average of weights."""

from trace_edges.training.checkpoint import (
    Weights,
    check_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from trace_edges.training.curves import Curves, read_curves
from trace_edges.training.loop import (
    BEST,
    CHECKPOINT,
    Best,
    Stage,
    at_least_one,
    averaged,
    falling_cosine,
    falling_line,
    fit,
    follow_weights,
)

__all__ = [
    "BEST",
    "CHECKPOINT",
    "Best",
    "Curves",
    "Stage",
    "Weights",
    "at_least_one",
    "averaged",
    "check_checkpoint",
    "falling_cosine",
    "falling_line",
    "fit",
    "follow_weights",
    "load_checkpoint",
    "read_curves",
    "save_checkpoint",
]
