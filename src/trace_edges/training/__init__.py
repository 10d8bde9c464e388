"""What training runs share: the loop, checkpoints, curves, the running average of weights."""

from trace_edges.training.average import averaged, follow_weights
from trace_edges.training.checkpoint import (
    Weights,
    check_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from trace_edges.training.curves import Curves
from trace_edges.training.loop import CHECKPOINT, Stage, fit

__all__ = [
    "CHECKPOINT",
    "Curves",
    "Stage",
    "Weights",
    "averaged",
    "check_checkpoint",
    "fit",
    "follow_weights",
    "load_checkpoint",
    "save_checkpoint",
]
