"""From queries and keys to maps of one step, averaged over heads and layers (section 3.1).

`MapAverage` gives the aggregated self-attention map SA(X_t), `WordAverage` the attention that each
place of the image pays to each word of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from trace_edges.attention.fused import launch
from trace_edges.attention.passes import without_autocast
from trace_edges.attention.recorder import RecorderError

Grid = tuple[int, int]

# Rows are processed in blocks: a whole (N, N) map of a head need not exist. On a CPU small blocks
# stay in the cache (pass and capture at 4,096 tokens take 1.87 plain passes instead of 2.27,
# benchmarks/speed/capture.py); an accelerator wants large ones.
_CPU_BLOCK_BYTES = 2 << 20
_ACCELERATOR_BLOCK_BYTES = 256 << 20

_ROW_TOLERANCE = 1e-3  # of sums in float32, over layers and enlarged grids


def row_block(maps: Tensor) -> int:
    """Number of rows of `maps` (B, N, M) to process at once."""
    budget = _CPU_BLOCK_BYTES if maps.device.type == "cpu" else _ACCELERATOR_BLOCK_BYTES
    return max(1, budget // (4 * maps.shape[0] * maps.shape[-1]))


def add_head_mean(
    total: Float32[Tensor, "b n m"],
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    scale: float,
    bias: Float32[Tensor, " m"] | None = None,
) -> None:
    """Add the mean over heads of softmax(q k^T * scale) to `total`, in float32.

    On a CUDA device where Triton is installed by its kernels, elsewhere, or where they fail, block
    by block.

    Args:
        bias: what is added to the logits of each key; the kernels know none.
    """
    if bias is not None or launch("add_head_mean_fused", total, q, k, scale) is None:
        add_head_mean_blocks(total, q, k, scale, bias)


def add_head_mean_blocks(
    total: Float32[Tensor, "b n m"],
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    scale: float,
    bias: Float32[Tensor, " m"] | None = None,
) -> None:
    """`add_head_mean` with PyTorch alone, on any device.

    One block of rows of one head is alive at a time, so the extra memory does not grow with N^2.

    Args:
        bias: what is added to the logits of each key.
    """
    heads = q.shape[1]
    queries, keys = q.float() * scale, k.float().mT  # (B, heads, N, d), (B, heads, d, M)
    step = row_block(total)
    with without_autocast(q.device):  # it would multiply in half precision
        for start in range(0, total.shape[1], step):
            rows = total[:, start : start + step]  # (B, rows, M), a view
            for head in range(heads):
                logits = queries[:, head, start : start + step] @ keys[:, head]
                if bias is not None:
                    logits += bias
                rows.add_(torch.softmax(logits, dim=-1), alpha=1 / heads)


def head_mean(
    q: Float[Tensor, "b heads n d"], k: Float[Tensor, "b heads m d"], scale: float
) -> Float32[Tensor, "b n m"]:
    """Mean over heads of softmax(q k^T * scale), for gradients to flow through: nothing is
    overwritten, and what the backward pass needs of a head is computed again.
    """

    def one(query: Tensor, key: Tensor) -> Tensor:
        logits = query.float() * scale @ key.float().transpose(-2, -1)  # (B, N, M)
        return torch.softmax(logits, dim=-1)

    heads = zip(q.unbind(1), k.unbind(1), strict=True)
    with without_autocast(q.device):
        maps = [checkpoint(one, query, key, use_reentrant=False) for query, key in heads]
        return torch.stack(maps).mean(0)


def upsample_map(
    attention: Float32[Tensor, "b n n"], grid: Grid, target: Grid
) -> Float32[Tensor, "b m m"]:
    """Bring a self-attention map from `grid` to the larger grid `target`; rows still sum to 1.

    Bilinear over the key axes with the mass of a key shared among the cells it becomes, then
    bilinear over the query axes. Where the factor is no integer the rows are renormalised.
    """
    (h, w), (target_h, target_w) = grid, target
    b = attention.shape[0]
    keys = attention.reshape(b, h * w, h, w)  # (B, query, key row, key column)
    keys = F.interpolate(keys, size=target, mode="bilinear", align_corners=False)
    keys = keys * (h * w / (target_h * target_w))
    queries = keys.flatten(2).mT.reshape(b, target_h * target_w, h, w)  # (B, key, query row, col)
    queries = F.interpolate(queries, size=target, mode="bilinear", align_corners=False)
    maps = queries.flatten(2).mT  # (B, target_h * target_w queries, the same number of keys)
    if target_h % h or target_w % w:
        maps = maps / maps.sum(dim=-1, keepdim=True)
    return maps


def _batch_and_tokens(q: Float[Tensor, "b heads n d"], grid: Grid) -> tuple[Any, Any]:
    """B and N of queries: numbers, or tensors while a graph is traced.

    Raises:
        ValueError: N is not rows * columns of the grid.
    """
    b, _, n, _ = q.shape
    if n != grid[0] * grid[1]:
        raise ValueError(f"{n} tokens do not fill a grid of {grid[0]} x {grid[1]}")
    return b, n


class MapAverage:
    """Running mean of head-averaged maps over layers, also when the layers' grids differ.

    Maps of one grid are summed as they come and each grid is upsampled once, at the end: the
    upsampling is linear, so the order does not matter and one map per grid size is alive.
    """

    def __init__(self) -> None:
        self._totals: dict[Grid, Tensor] = {}
        self._layers: dict[Grid, int] = {}

    def add(
        self,
        grid: Grid,
        q: Float[Tensor, "b heads n d"],
        k: Float[Tensor, "b heads n d"],
        scale: float,
    ) -> None:
        """Add one layer's mean over heads. `grid` is (rows, columns) of the N tokens, row-major.

        Raises:
            ValueError: N is not rows * columns.
        """
        b, n = _batch_and_tokens(q, grid)
        if grid not in self._totals:
            self._totals[grid] = torch.zeros(b, n, n, device=q.device, dtype=torch.float32)
        learning = torch.is_grad_enabled() and (q.requires_grad or k.requires_grad)
        # The graph of a trace knows nothing of what is overwritten.
        if learning or torch.jit.is_tracing():  # type: ignore[attr-defined]
            self._totals[grid] = self._totals[grid] + head_mean(q, k, scale)
        else:
            add_head_mean(self._totals[grid], q, k, scale)
        self._layers[grid] = self._layers.get(grid, 0) + 1

    def mean(self) -> tuple[Float32[Tensor, "b n n"], Grid]:
        """Empty the average and return SA(X_t), rows summing to 1, and its grid, the largest.

        Raises:
            ValueError: nothing was added.
            RecorderError: the model computes NaN, or its layers were not all counted.
        """
        if not self._totals:
            raise ValueError("no attention map was added to the average")
        target = max(self._totals, key=lambda grid: grid[0] * grid[1])
        mean = self._totals.pop(target)
        while self._totals:
            grid, total = self._totals.popitem()
            count = self._layers[grid]  # rows of the total sum to so much, enlarged ones to 1
            mean += count * upsample_map(total / count, grid, target)
        layers, self._layers = sum(self._layers.values()), {}
        mean = mean.div_(layers)
        _check_rows(mean)
        return mean, target


def _check_rows(mean: Float32[Tensor, "b n n"]) -> None:
    """The one look of a pass at values on the device."""
    if type(mean) is not Tensor or mean.is_meta or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return  # there are no values
    worst = float((mean.detach().sum(-1) - 1).abs().max())
    if not isfinite(worst):
        raise RecorderError(
            "the model's attention holds NaN or infinity: its weights are damaged, or too large "
            "for their number type (load them in float32 or bfloat16)"
        )
    if worst > _ROW_TOLERANCE:
        raise RecorderError(
            f"rows of the mean attention do not sum to 1 (by {worst:.3g}): some attention calls "
            "were not recorded, as happens with a compiled model; give the one before compilation"
        )


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
        b, n = _batch_and_tokens(q, grid)
        shares = torch.zeros(b, n, k.shape[2], device=q.device, dtype=torch.float32)
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
