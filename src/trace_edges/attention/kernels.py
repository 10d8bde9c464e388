"""Triton kernels: the head mean of self-attention, and KL between rows of two maps.

Head mean: no map of a single head ever exists. Softmax needs the sum of a row before its first
value is known, so the logits are computed twice: once for log sum exp of every row and head,
(B, heads, N) numbers, and once tile by tile, where all heads are added up in registers and each
tile of the running average is read and written once.

KL: no row is copied.

Importing this needs Triton. Block sizes are a first choice, not tuned.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Float32, Int64
from torch import Tensor

BLOCK = 64  # queries and keys of a tile
ROW_BLOCK = 1024  # keys of a row that a program takes at a time
_SMALLEST = 16  # side of what `tl.dot` multiplies


def add_head_mean_fused(
    total: Float32[Tensor, "b n m"],
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    scale: float,
) -> None:
    """Add the mean over heads of softmax(q k^T * scale) to `total`, in float32.

    Products are of q and k as they come, sums are float32: within 1e-5 of `add_head_mean_blocks`.
    The extra memory is one float32 for each query of each head.
    """
    b, heads, n, d = q.shape
    m = k.shape[2]
    sums = torch.empty(b, heads, n, device=q.device)  # float32
    width = max(_SMALLEST, triton.next_power_of_2(d))
    strides = (*q.stride(), *k.stride())
    _log_sums[triton.cdiv(n, BLOCK), b * heads](
        q, k, sums, scale, heads, n, m, d, *strides, BLOCK=BLOCK, WIDTH=width
    )
    _add_mean[triton.cdiv(n, BLOCK), triton.cdiv(m, BLOCK), b](
        total, q, k, sums, scale, heads, n, m, d, *strides, *total.stride(),
        BLOCK=BLOCK, WIDTH=width,
    )  # fmt: skip


@triton.jit
def _tile(x, row, stride_row, rows, column, stride_column, columns):
    """A tile of two axes of x; 0 outside."""
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    place = x + row[:, None] * stride_row + column[None, :] * stride_column
    return tl.load(place, mask=inside, other=0.0)


@triton.jit
def _log_sums(
    q, k, sums, scale, heads, n, m, d, qb, qh, qn, qd, kb, kh, km, kd,
    BLOCK: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Log sum exp of the logits of BLOCK queries of one head."""
    image = (tl.program_id(1) // heads).to(tl.int64)
    head = tl.program_id(1) % heads
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, WIDTH)
    queries = _tile(q + image * qb + head * qh, row, qn, n, channel, qd, d)
    highest = tl.full([BLOCK], float("-inf"), tl.float32)
    summed = tl.zeros([BLOCK], tl.float32)
    for first in range(0, m, BLOCK):
        column = first + tl.arange(0, BLOCK)
        keys = _tile(k + image * kb + head * kh, channel, kd, d, column, km, m)
        logits = tl.dot(queries, keys, input_precision="ieee") * scale
        logits = tl.where(column[None, :] < m, logits, float("-inf"))
        higher = tl.maximum(highest, tl.max(logits, 1))
        summed = summed * tl.exp(highest - higher)
        summed += tl.sum(tl.exp(logits - higher[:, None]), 1)
        highest = higher
    tl.store(sums + tl.program_id(1).to(tl.int64) * n + row, highest + tl.log(summed), row < n)


@triton.jit
def _add_mean(
    total, q, k, sums, scale, heads, n, m, d, qb, qh, qn, qd, kb, kh, km, kd, tb, tn, tm,
    BLOCK: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Add the mean over heads of one tile of the softmax."""
    image = tl.program_id(2).to(tl.int64)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, WIDTH)
    mean = tl.zeros([BLOCK, BLOCK], tl.float32)
    for head in range(0, heads):
        queries = _tile(q + image * qb + head * qh, row, qn, n, channel, qd, d)
        keys = _tile(k + image * kb + head * kh, channel, kd, d, column, km, m)
        logits = tl.dot(queries, keys, input_precision="ieee") * scale
        summed = tl.load(sums + (image * heads + head) * n + row, mask=row < n, other=0.0)
        mean += tl.exp(logits - summed[:, None])
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
    divergence = torch.empty(b, r, device=p.device)
    _kl_of_row[r, b](
        p, q, first, second, divergence, least, m, r, *p.stride(), *q.stride(), BLOCK=ROW_BLOCK
    )
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
