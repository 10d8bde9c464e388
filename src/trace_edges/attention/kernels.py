"""Triton kernels: the head mean of self-attention, and KL between rows of two maps.

Head mean: no map of a single head ever exists. Softmax needs the sum of a row before its first
value is known, so the logits are computed twice: once for log2 sum exp of every row and head,
(B, heads, N) numbers, and once tile by tile, where all heads are added up in registers and each
tile of the running average is read and written once. Every softmax statistic is computed once.

KL: no row is copied.

`attention/tiles.py` chooses tiles that fit the card; `benchmarks/speed/kernels.py` compiles all of
them without a GPU and prints shared memory, registers, spills and instructions.

Importing this needs Triton.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from trace_edges.attention.tiles import FUSION, Tiles, card_of, multiplied_as, tiles_for

ROW_BLOCK = 1024  # keys of a row that a program takes at a time
_LOG2_E = 1.4426950408889634


def on_device(tensor: Tensor) -> AbstractContextManager[object]:
    """Within, Triton launches where the tensor lies: by itself it takes the current device."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def add_head_mean_fused(
    total: Float32[Tensor, "b n m"],
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    scale: float,
    tiles: Tiles | None = None,
) -> Float32[Tensor, "b n m"]:
    """Add the mean over heads of softmax(q k^T * scale) to `total`, in float32, and return it.

    Products are of q and k as they come (`multiplied_as`), sums are float32: within 1e-5 of
    `add_head_mean_blocks`.
    The extra memory is one float32 for each query of each head. `total` is written by the last
    launch only: where one fails, it is as it was.

    Args:
        tiles: None: those that fit the device.
    """
    b, heads, n, d = q.shape
    m = k.shape[2]
    card = card_of(total.device)
    dtype = multiplied_as(torch.promote_types(q.dtype, k.dtype), card)
    q, k = q.to(dtype), k.to(dtype)
    tiles = tiles or tiles_for(d, q.element_size(), card)
    sums = torch.empty(b, heads, n, device=q.device, dtype=torch.float32)
    rows, columns = triton.cdiv(n, tiles.queries), triton.cdiv(m, tiles.keys)
    given = (sums, scale * _LOG2_E, heads, n, m, *q.stride(), *k.stride())
    with on_device(total):
        _log_sums[rows, b * heads](q, k, *given, D=d, **tiles.options())
        _add_mean[rows, columns, b](total, q, k, *given, *total.stride(), D=d, **tiles.options())
    return total


@triton.jit
def _tile(x, row, stride_row, rows, column, stride_column, columns):
    """A tile of two axes of x; 0 outside."""
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    place = x + row[:, None] * stride_row + column[None, :] * stride_column
    return tl.load(place, mask=inside, other=0.0)


@triton.jit
def _products(
    q, k, row, column, n, m, qn, qd, km, kd,
    D: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr, CHANNELS: tl.constexpr,
    UNROLLED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Products q k^T of one tile of one head, summed over CHANNELS of the D channels at a time."""
    summed = tl.zeros([QUERIES, KEYS], tl.float32)
    if UNROLLED:
        for first in tl.static_range(0, D, CHANNELS):
            channel = first + tl.arange(0, CHANNELS)
            queries = _tile(q, row, qn, n, channel, qd, D)
            keys = _tile(k, channel, kd, D, column, km, m)
            summed = tl.dot(queries, keys, summed, input_precision=PRECISION)
    else:
        for first in range(0, D, CHANNELS):
            channel = first + tl.arange(0, CHANNELS)
            queries = _tile(q, row, qn, n, channel, qd, D)
            keys = _tile(k, channel, kd, D, column, km, m)
            summed = tl.dot(queries, keys, summed, input_precision=PRECISION)
    return summed


@triton.jit
def _log_sums(
    q, k, sums, scale, heads, n, m, qb, qh, qn, qd, kb, kh, km, kd,
    D: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr, CHANNELS: tl.constexpr,
    UNROLLED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Log2 sum exp2 of the logits of QUERIES queries of one head."""
    image = (tl.program_id(1) // heads).to(tl.int64)
    head = tl.program_id(1) % heads
    q += image * qb + head * qh
    k += image * kb + head * kh
    row = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    highest = tl.full([QUERIES], float("-inf"), tl.float32)
    summed = tl.zeros([QUERIES], tl.float32)
    for first in range(0, m, KEYS):
        column = first + tl.arange(0, KEYS)
        logits = scale * _products(
            q, k, row, column, n, m, qn, qd, km, kd,
            D, QUERIES, KEYS, CHANNELS, UNROLLED, PRECISION,
        )  # fmt: skip
        logits = tl.where(column[None, :] < m, logits, float("-inf"))
        higher = tl.maximum(highest, tl.max(logits, 1))
        summed = summed * tl.exp2(highest - higher)
        summed += tl.sum(tl.exp2(logits - higher[:, None]), 1)
        highest = higher
    tl.store(sums + tl.program_id(1).to(tl.int64) * n + row, highest + tl.log2(summed), row < n)


@triton.jit
def _add_mean(
    total, q, k, sums, scale, heads, n, m, qb, qh, qn, qd, kb, kh, km, kd, tb, tn, tm,
    D: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr, CHANNELS: tl.constexpr,
    UNROLLED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Add the mean over heads of one tile of the softmax."""
    image = tl.program_id(2).to(tl.int64)
    row = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    column = tl.program_id(1) * KEYS + tl.arange(0, KEYS)
    mean = tl.zeros([QUERIES, KEYS], tl.float32)
    q += image * qb
    k += image * kb
    for head in range(0, heads):
        products = _products(
            q + head * qh, k + head * kh, row, column, n, m, qn, qd, km, kd,
            D, QUERIES, KEYS, CHANNELS, UNROLLED, PRECISION,
        )  # fmt: skip
        summed = tl.load(sums + (image * heads + head) * n + row, mask=row < n, other=0.0)
        mean += tl.exp2(products * scale - summed[:, None])
    place = total + image * tb + row[:, None].to(tl.int64) * tn + column[None, :] * tm
    inside = (row[:, None] < n) & (column[None, :] < m)
    tl.store(place, tl.load(place, mask=inside, other=0.0) + mean / heads, mask=inside)


def kl_between_rows_fused(
    p: Float32[Tensor, "b n m"],
    q: Float32[Tensor, "b n m"],
    first: Int64[Tensor, " r"],
    second: Int64[Tensor, " r"],
    least: float,
) -> Float32[Tensor, "b r"]:
    """KL(p[:, first[i]] || q[:, second[i]]) in nats for every i; probabilities below `least` count
    as `least`. Sums are float32.
    """
    (b, _, m), r = p.shape, len(first)
    divergence = torch.empty(b, r, device=p.device, dtype=torch.float32)
    with on_device(p):
        _kl_of_row[r, b](
            p, q, first, second, divergence, least, m, r, *p.stride(), *q.stride(),
            BLOCK=ROW_BLOCK, **FUSION,
        )  # fmt: skip
    return divergence


@triton.jit
def _kl_of_row(
    p, q, first, second, divergence, least, m, r, pb, pn, pm, qb, qn, qm, BLOCK: tl.constexpr
):
    """One pair of rows of one image."""
    pair, image = tl.program_id(0), tl.program_id(1).to(tl.int64)
    p += image * pb + tl.load(first + pair) * pn
    q += image * qb + tl.load(second + pair) * qn
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, m, BLOCK):
        key = start + tl.arange(0, BLOCK)
        there = tl.maximum(tl.load(p + key * pm, mask=key < m, other=1.0), least)
        here = tl.maximum(tl.load(q + key * qm, mask=key < m, other=1.0), least)
        total += there * tl.log(there / here)  # 0 beyond the row
    tl.store(divergence + image * r + pair, tl.sum(total, 0))
