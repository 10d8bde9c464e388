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

torch.manual_seed(0)
for (b, heads, n, m, d), dtype in (
    ((2, 3, 70, 70, 24), torch.float32),  # neither tokens nor channels fill a block
    ((1, 2, 64, 130, 16), torch.float32),
    ((1, 2, 40, 40, 72), torch.float16),
):
    # (B, N, heads, d) turned, as attention modules hand them over: not contiguous
    q = (3 * torch.randn(b, n, heads, d)).to(dtype).transpose(1, 2)
    k = torch.randn(b, m, heads, d).to(dtype).transpose(1, 2)
    before = torch.rand(b, n, m)
    fused, blocks = before.clone(), before.clone()
    add_head_mean_fused(fused, q, k, d**-0.5)
    add_head_mean_blocks(blocks, q, k, d**-0.5)
    plain = before + torch.softmax(q.double() @ k.double().mT * d**-0.5, -1).mean(1)
    assert (fused - plain).abs().max() < 1e-5, (fused - plain).abs().max()
    assert (fused - blocks).abs().max() < 1e-5
    rows = (fused - before).sum(-1)
    assert (rows - 1).abs().max() < 1e-4, rows
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
