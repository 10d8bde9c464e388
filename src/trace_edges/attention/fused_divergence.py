"""KL between rows of two maps in one Triton kernel: no row is copied.

Importing this needs Triton. The block size is a first choice, not tuned.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float32, Int64
from torch import Tensor

BLOCK = 1024  # keys that a program takes at a time


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
        p, q, first, second, divergence, least, m, r, *p.stride(), *q.stride(), BLOCK=BLOCK
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
