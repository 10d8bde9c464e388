"""The running average of weights (EMA), which is what a run ends with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from trace_edges.training.checkpoint import Weights


@torch.no_grad()
def follow_weights(
    average: Weights, weights: Mapping[str, nn.Parameter], step: int, most: float
) -> None:
    """One step of the average, of which at most the share `most` stays; at first it forgets fast,
    since it starts from random weights.
    """
    share = min(most, (1 + step) / (10 + step))
    for name, weight in weights.items():
        average[name].lerp_(weight, 1 - share)


@contextmanager
def averaged(weights: Mapping[str, nn.Parameter], average: Weights) -> Iterator[None]:
    """Within, the model has the running average of its weights."""
    own = {name: weight.detach().clone() for name, weight in weights.items()}
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(average[name])
        try:
            yield
        finally:
            for name, weight in weights.items():
                weight.copy_(own[name])
