"""The Triton kernels against the formula, run by Triton's interpreter: no GPU is needed.

Not in bfloat16: the interpreter multiplies its bits as if they were integers.
"""

import os
import subprocess
import sys

import pytest

HEAD_MEAN = """
import torch
from trace_edges.attention.kernels import add_head_mean_fused
from trace_edges.attention.maps import add_head_mean_blocks
from trace_edges.attention.tiles import Card, Tiles, tiles_for

torch.manual_seed(0)
unrolled = Tiles(32, 64, 16, True, "ieee", 4, 2)
looped = Tiles(64, 32, 16, False, "ieee", 4, 2)
for (b, heads, n, m, d), dtype, tiles in (
    ((2, 3, 70, 70, 24), torch.float32, unrolled),  # neither tokens nor channels fill a tile
    ((2, 3, 70, 70, 24), torch.float32, looped),
    ((1, 2, 64, 130, 16), torch.float32, looped),
    ((1, 2, 40, 40, 72), torch.float16, unrolled),
    ((1, 2, 40, 40, 160), torch.float16, looped),
    ((1, 2, 140, 130, 8), torch.float16, tiles_for(8, 2, Card(86, 99 << 10))),
    ((1, 2, 70, 66, 40), torch.float16, tiles_for(40, 2, Card(75, 64 << 10))),
    ((1, 1, 33, 34, 256), torch.float32, None),
):
    # (B, N, heads, d) turned, as attention modules hand them over: not contiguous
    q = (3 * torch.randn(b, n, heads, d)).to(dtype).transpose(1, 2)
    k = torch.randn(b, m, heads, d).to(dtype).transpose(1, 2)
    before = torch.rand(b, m, n).mT
    for keys in (k, k[:, :1].expand(b, heads, m, d)):  # one key head for all: a stride of 0
        fused, blocks = before.clone(), before.clone()
        add_head_mean_fused(fused, q, keys, d**-0.5, tiles)
        add_head_mean_blocks(blocks, q, keys, d**-0.5)
        plain = before + torch.softmax(q.double() @ keys.double().mT * d**-0.5, -1).mean(1)
        assert (fused - plain).abs().max() < 1e-5, (tiles, d, (fused - plain).abs().max())
        assert (fused - blocks).abs().max() < 1e-5
        rows = (fused - before).sum(-1)
        assert (rows - 1).abs().max() < 1e-4, rows
q, k = torch.randn(1, 1, 20, 16).half(), torch.randn(1, 1, 20, 16)  # types that differ
fused, blocks = torch.zeros(1, 20, 20), torch.zeros(1, 20, 20)
add_head_mean_fused(fused, q, k, 0.25)
add_head_mean_blocks(blocks, q, k, 0.25)
assert (fused - blocks).abs().max() < 1e-5
torch.set_default_dtype(torch.bfloat16)  # which sums are not held in
fused = torch.zeros(1, 20, 20, dtype=torch.float32)
add_head_mean_fused(fused, q, k, 0.25)
assert (fused - blocks).abs().max() < 1e-5
print("equal")
"""

DIVERGENCE = """
import torch
from trace_edges.attention.kernels import kl_between_rows_fused
from trace_edges.training_free.divergence import MINIMUM_PROBABILITY, kl_between_rows, kl_divergence

torch.manual_seed(0)
for b, n, m in ((2, 70, 70), (1, 5, 2050)):  # less than a block of keys, and more than two
    p, q = (torch.softmax(8 * torch.randn(b, m, n), 1).mT for _ in "pq")  # not contiguous
    first, second = torch.randint(n, (2, 9))
    fused = kl_between_rows_fused(p, q, first, second, MINIMUM_PROBABILITY)
    plain = kl_divergence(p.double()[:, first], q.double()[:, second])
    assert (fused - plain).abs().max() < 1e-5 * plain.max(), (fused - plain).abs().max()
    assert (kl_between_rows(p, q, (first, second)) - plain).abs().max() < 1e-5 * plain.max()
print("equal")
"""


@pytest.mark.parametrize("code", [HEAD_MEAN, DIVERGENCE], ids=["head mean", "divergence"])
def test_the_kernels_give_what_the_formula_gives(code):
    pytest.importorskip("triton", reason='pip install "trace-edges[fast]"')
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert ended.stdout == "equal\n", ended.stderr
