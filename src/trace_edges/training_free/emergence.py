"""Instance Emergence Point, IEP (section 3.2): the step at which self-attention changes most.

Along the trajectory self-attention first groups by meaning, then for a short while by instance,
then dissolves into noise. The paper takes the step after the largest change, measured by KL. With
p a row of the map before and q the same row now, one criterion is

* "kl": mean over the rows of KL(p || q), nats (the paper's);
* "l1": mean over the rows of sum |p - q|, in [0, 2];
* "l2": mean over the rows of the Euclidean distance |p - q|;
* "entropy": |mean entropy of the rows q - mean entropy of the rows p|, nats;
* "wasserstein": mean over the rows of W1 of their two marginals on the grid's axes, summed: how far
  attention moves along the rows and along the columns, in cells.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from trace_edges.attention.maps import Grid, row_block
from trace_edges.training_free.divergence import MINIMUM_PROBABILITY, kl_between_rows
from trace_edges.training_free.settings import Criterion

Rows = Float32[Tensor, "b rows n"]
Values = Float32[Tensor, "b rows"]


def map_change(
    previous: Float32[Tensor, "b n n"],
    current: Float32[Tensor, "b n n"],
    grid: Grid,
    criterion: Criterion = "kl",
) -> Float32[Tensor, " b"]:
    """How much SA(X_t) differs from SA(X_tprev), mean over the rows (queries), >= 0.

    Args:
        previous: rows of N = h * w queries (row-major) that sum to 1.
        current: the same of the next step.
        grid: (h, w).
        criterion: see the head of this module, as for the units.
    """
    return _CHANGES[criterion](previous, current, grid).mean(dim=1).abs()  # entropy has a sign


def emergence_index(
    curve: Float[np.ndarray, "b steps"], *, first: int = 0
) -> Int[np.ndarray, " b"]:
    """t* = argmax_t of the curve of changes, as an index into the visited steps (the curve's entry
    i compares step i with step i + 1, so the answer is the argmax plus 1).

    Args:
        curve: `map_change` between consecutive steps.
        first: ignore the changes before this one (1: without the first, from clean to hardly
            noisy, which is often the largest for no better reason than the start of the noise).

    Raises:
        ValueError: the curve has no entry after `first`.
    """
    if curve.shape[1] <= first:
        raise ValueError(f"a curve of {curve.shape[1]} changes has none after the first {first}")
    return curve[:, first:].argmax(axis=1) + first + 1


def _in_blocks(measure: Callable[[Rows, Rows, Grid], Values]) -> Callable[..., Values]:
    """The same of whole maps, with no more than a block of rows beside them."""

    def of_maps(p: Rows, q: Rows, grid: Grid) -> Values:
        step = row_block(p)
        blocks = zip(p.split(step, dim=1), q.split(step, dim=1), strict=True)
        return torch.cat([measure(before, now, grid) for before, now in blocks], dim=1)

    return of_maps


def _entropy(p: Rows) -> Values:
    return -(p * p.clamp_min(MINIMUM_PROBABILITY).log()).sum(dim=-1)


def _marginal_wasserstein(p: Rows, q: Rows, grid: Grid) -> Values:
    moved = (p - q).unflatten(-1, grid)  # (B, rows, h, w)
    # On a line, W1 is the area between the two cumulative distributions.
    return sum(moved.sum(dim=axis).cumsum(dim=-1).abs().sum(dim=-1) for axis in (-1, -2))


_CHANGES: dict[Criterion, Callable[[Rows, Rows, Grid], Values]] = {
    "kl": lambda p, q, grid: kl_between_rows(p, q),
    "l1": _in_blocks(lambda p, q, grid: (p - q).abs().sum(dim=-1)),
    "l2": _in_blocks(lambda p, q, grid: (p - q).norm(dim=-1)),
    "entropy": _in_blocks(lambda p, q, grid: _entropy(q) - _entropy(p)),
    "wasserstein": _in_blocks(_marginal_wasserstein),
}
