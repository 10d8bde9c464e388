"""Instance Emergence Point, IEP (section 3.2): the step at which self-attention changes most.

Along the trajectory self-attention first groups by meaning, then for a short while by instance,
then dissolves into noise. The paper takes the step after the largest change, measured by KL.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int
from torch import Tensor

from trace_edges.attention.maps import row_block
from trace_edges.divergence import kl_divergence


def map_divergence(
    previous: Float32[Tensor, "b n n"], current: Float32[Tensor, "b n n"]
) -> Float32[Tensor, " b"]:
    """KL(SA(X_tprev) || SA(X_t)) in nats, mean over the rows (queries)."""
    step = row_block(current)
    total = current.new_zeros(current.shape[0])
    for start in range(0, current.shape[1], step):
        block = slice(start, start + step)
        total += kl_divergence(previous[:, block], current[:, block]).sum(dim=1)
    return total / current.shape[1]


def emergence_index(
    curve: Float[np.ndarray, "b steps"], *, first: int = 0
) -> Int[np.ndarray, " b"]:
    """t* = argmax_t of the KL curve, as an index into the visited steps (the curve's entry i
    compares step i with step i + 1, so the answer is the argmax plus 1).

    Args:
        curve: KL between consecutive steps, nats.
        first: ignore the changes before this one (1: without the first, from clean to hardly
            noisy, which is often the largest for no better reason than the start of the noise).

    Raises:
        ValueError: the curve has no entry after `first`.
    """
    if curve.shape[1] <= first:
        raise ValueError(f"a curve of {curve.shape[1]} changes has none after the first {first}")
    return curve[:, first:].argmax(axis=1) + first + 1
