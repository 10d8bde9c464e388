"""How much of its attention each place of a picture pays to each word of a text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from trace_edges.attention.maps import Grid, add_head_mean


class WordAverage:
    """Running mean over layers of the attention to words, also when the layers' grids differ.

    Args:
        words: of each word, the places of its tokens among those of the text.
    """

    def __init__(self, words: Sequence[Sequence[int]]) -> None:
        self._words = words
        self._totals: dict[Grid, Tensor] = {}
        self._layers = 0

    def add(
        self,
        grid: Grid,
        q: Float[Tensor, "b heads n d"],
        k: Float[Tensor, "b heads m d"],
        scale: float,
        text: int,
        bias: Float32[Tensor, " m"] | None = None,
    ) -> None:
        """Add one layer's mean over heads of softmax(q k^T * scale), summed over a word's tokens.

        Args:
            grid: (rows, columns) of the N places, row-major.
            k: all keys of the softmax; where image and text share it, both.
            text: where the text starts among the keys.
            bias: what a mask adds to the logits of each key; -inf hides it.

        Raises:
            ValueError: N is not rows * columns.
        """
        b, _, n, _ = q.shape
        if n != grid[0] * grid[1]:
            raise ValueError(f"{n} tokens do not fill a grid of {grid[0]} x {grid[1]}")
        shares = torch.zeros(b, n, k.shape[2], device=q.device)
        add_head_mean(shares, q, k, scale, bias)
        words = [shares[..., [text + place for place in places]].sum(-1) for places in self._words]
        layer = torch.stack(words, dim=1).unflatten(-1, grid)  # (B, W, h, w)
        self._totals[grid] = self._totals.get(grid, 0) + layer
        self._layers += 1

    def mean(self, target: Grid) -> Float32[Tensor, "b w h w2"]:
        """Empty the average and return it on `target`, in [0, 1]; smaller grids are enlarged
        bilinearly.

        Raises:
            ValueError: nothing was added.
        """
        if not self._totals:
            raise ValueError("no attention to words was added to the average")
        grids = [
            total
            if grid == target
            else F.interpolate(total, target, mode="bilinear", align_corners=False)
            for grid, total in self._totals.items()
        ]
        mean = torch.stack(grids).sum(0) / self._layers
        self._totals, self._layers = {}, 0
        return mean
