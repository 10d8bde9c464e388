"""How a convolution reads a self-attention map: what every cell pays to the cells around it."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor

from trace_edges.attention.maps import Grid
from trace_edges.training_free.divergence import MINIMUM_PROBABILITY


def attention_window(
    attention: Float32[Tensor, "b n n"], grid: Grid, radius: int
) -> Float32[Tensor, "b k h w"]:
    """log(N * SA) of every cell towards the k = (2 * radius + 1)^2 cells around it.

    The whole map has as many channels as cells, so a decoder of it would fit one size of picture.
    A column to the left and its twin to the right come as their sum and the size of their
    difference: the features of a mirrored picture are the mirrored features, as training takes
    them to be.

    Args:
        attention: rows that sum to 1. Even attention, 1 / N, gives 0; so does what lies outside.
        grid: (h, w) with N = h * w, row-major.
        radius: cells.
    """
    h, w = grid
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    queries = torch.arange(h * w, device=attention.device)
    paid = {}
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            to_rows, to_columns = rows + down, columns + right
            inside = (to_rows >= 0) & (to_rows < h) & (to_columns >= 0) & (to_columns < w)
            keys = to_rows.clamp(0, h - 1) * w + to_columns.clamp(0, w - 1)  # (h, w)
            found = attention[:, queries, keys.flatten().to(queries)]  # (B, N)
            logarithm = (found.clamp_min(MINIMUM_PROBABILITY) * h * w).log()
            # (B, N) -> (B, h, w)
            paid[down, right] = logarithm.unflatten(1, grid) * inside.to(logarithm)
    channels = []
    for (down, right), here in paid.items():
        twin = paid[down, -right]
        channels.append(here + twin if right <= 0 else (here - twin).abs())
    return torch.stack(channels, dim=1)
