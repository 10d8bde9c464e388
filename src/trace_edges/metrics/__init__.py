"""Scores of edges, masks and panoptic maps against ground truth, all in memory."""

import warnings
from importlib import import_module
from typing import Any

from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.counts import EdgeProtocol, EdgeTruth
from trace_edges.metrics.edges import EdgeScores, evaluate_edges
from trace_edges.metrics.masks import MaskScores
from trace_edges.metrics.panoptic import PanopticScores

__all__ = [
    "EdgeProtocol",
    "EdgeScores",
    "EdgeTruth",
    "MaskScores",
    "PanopticScores",
    "boundaries_from_labels",
    "evaluate_edges",
]


def __getattr__(name: str) -> Any:
    """Where functions of 0.1 are now that read files; it goes with the next release."""
    if name not in ("evaluate_masks", "evaluate_panoptic"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = f"trace_edges.metrics.{name} is trace_edges.evaluation.{name} now"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return getattr(import_module("trace_edges.evaluation"), name)
