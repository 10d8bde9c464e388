"""Attention Boundary Divergence, ABDiv (section 3.3): an edge is where opposite neighbours differ.

A pixel inside an instance has neighbours on opposite sides that look at the same things; on the
boundary between two instances one looks at the first, the other at the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from trace_edges.attention.fused import launch
from trace_edges.attention.maps import Grid, row_block

# Below this a probability counts as zero: the logarithm stays finite, and float32 softmax noise
# on far-away keys does not reach the divergence.
MINIMUM_PROBABILITY = 1e-12

_FOUR = ((1, 0), (0, 1))
_EIGHT = (*_FOUR, (1, 1), (1, -1))


def kl_divergence(p: Float[Tensor, "*b n m"], q: Float[Tensor, "*b n m"]) -> Float[Tensor, "*b n"]:
    """KL(p || q) in nats of each row of two maps whose rows are distributions."""
    p, q = p.clamp_min(MINIMUM_PROBABILITY), q.clamp_min(MINIMUM_PROBABILITY)
    return (p * (p / q).log()).sum(dim=-1)


def kl_between_rows(
    p: Float32[Tensor, "b n m"],
    q: Float32[Tensor, "b n m"],
    pairs: tuple[Int64[Tensor, " r"], Int64[Tensor, " r"]] | None = None,
) -> Float32[Tensor, "b r"]:
    """KL(p[:, first[i]] || q[:, second[i]]) in nats for every i of the pairs (first, second); None:
    of every row and the same one.

    On a CUDA device where Triton is installed without a copy of any row, elsewhere, or where that
    fails, block by block.
    """
    if p.is_cuda:
        chosen = pairs or (torch.arange(p.shape[1]),) * 2
        here = [rows.to(p.device) for rows in chosen]
        found = launch("kl_between_rows_fused", p, q, *here, MINIMUM_PROBABILITY)
        if found is not None:
            return found
    step = row_block(p)
    blocks: Iterable[tuple[Tensor, Tensor]]
    if pairs is None:  # views: nothing is copied
        blocks = zip(p.split(step, dim=1), q.split(step, dim=1), strict=True)
    else:
        parts = zip(*(rows.split(step) for rows in pairs), strict=True)
        blocks = ((p[:, first], q[:, second]) for first, second in parts)
    return torch.cat([kl_divergence(*block) for block in blocks], dim=1)


def boundary_divergence(
    attention: Float32[Tensor, "b n n"],
    grid: Grid,
    *,
    neighbours: Literal[4, 8] = 4,
    symmetric: bool = False,
    border: Literal["scale", "copy"] = "scale",
) -> Float32[Tensor, "b h w"]:
    """ABDiv of a self-attention map, in nats, >= 0, on the attention grid (section 3.3).

    E(i, j) = KL(SA[i+1, j] || SA[i-1, j]) + KL(SA[i, j+1] || SA[i, j-1])

    Args:
        attention: SA(X_t*), rows of N = h * w queries (row-major) that sum to 1.
        grid: (h, w), each at least 2 (3 with `border="copy"`).
        neighbours: 4 as above, or 8 to add the two diagonals.
        symmetric: average KL in both directions. The paper takes one, so that flipping the image
            does not flip its ABDiv exactly.
        border: the outermost cells lack one neighbour. "scale" puts the cell itself in its place
            and multiplies the term by how much the squared distance shrank (4 along an axis), since
            KL grows with the square of the distance; "copy" repeats the term of the cell inside.

    Raises:
        ValueError: the grid is too small or does not fit the map.
    """
    (h, w), smallest = grid, 3 if border == "copy" else 2
    if min(grid) < smallest:
        raise ValueError(f"ABDiv with border={border!r} needs a grid of at least {smallest} x "
                         f"{smallest}, got {h} x {w}")  # fmt: skip
    if attention.shape[1] != h * w:
        raise ValueError(f"a map of {attention.shape[1]} tokens does not fit a grid of {h} x {w}")
    total = attention.new_zeros(attention.shape[0], h, w)
    for offset in _FOUR if neighbours == 4 else _EIGHT:
        total += _opposite_divergence(attention, grid, offset, symmetric, border)
    return total


def _opposite_divergence(
    attention: Tensor, grid: Grid, offset: tuple[int, int], symmetric: bool, border: str
) -> Float32[Tensor, "b h w"]:
    """KL between the neighbours of every cell at +offset and -offset."""
    h, w = grid
    rows, columns = torch.arange(h)[:, None], torch.arange(w)[None]  # (h, 1), (1, w)
    if border == "copy":
        rows, columns = rows.clamp(1, h - 2), columns.clamp(1, w - 2)
    ahead = (rows + offset[0]).clamp(0, h - 1), (columns + offset[1]).clamp(0, w - 1)
    behind = (rows - offset[0]).clamp(0, h - 1), (columns - offset[1]).clamp(0, w - 1)
    distance = (ahead[0] - behind[0]) ** 2 + (ahead[1] - behind[1]) ** 2  # (h, w), in cells^2
    scale = 4 * (offset[0] ** 2 + offset[1] ** 2) / distance
    first = (ahead[0] * w + ahead[1]).flatten()  # (h * w,), indices of queries
    second = (behind[0] * w + behind[1]).flatten()

    divergence = kl_between_rows(attention, attention, (first, second))
    if symmetric:
        divergence = (divergence + kl_between_rows(attention, attention, (second, first))) / 2
    # Rounding can leave a hair below zero where both neighbours agree.
    return divergence.clamp_min_(0).unflatten(1, grid) * scale.to(divergence)
