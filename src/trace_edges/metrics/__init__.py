"""Scores of edges, masks and panoptic maps against ground truth, all in memory."""

import warnings
from importlib import import_module
from typing import Any

import lazy_loader

_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Public names; functions of 0.1 that read files are in `evaluation` now."""
    if name not in ("evaluate_masks", "evaluate_panoptic"):
        return _find(name)
    message = f"trace_edges.metrics.{name} is trace_edges.evaluation.{name} now"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return getattr(import_module("trace_edges.evaluation"), name)
