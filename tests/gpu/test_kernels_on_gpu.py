"""The Triton kernels, compiled for this card, against float64 on the same card."""

import pytest
import torch

from trace_edges.attention import maps
from trace_edges.doctor.models import HEAD_DIMS
from trace_edges.training_free import divergence

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@pytest.fixture
def only_kernels(monkeypatch):
    """Falling back to PyTorch is an error."""
    pytest.importorskip("triton", reason='pip install "trace-edges[fast]"')

    def refused(*args, **options):
        raise AssertionError("the kernel was not used")

    monkeypatch.setattr(maps, "add_head_mean_blocks", refused)
    monkeypatch.setattr(divergence, "kl_divergence", refused)


def queries_and_keys(device, dtype, d, n=1030, m=1030, heads=3):
    """As attention modules hand them over: (B, N, heads, d) turned, so not contiguous."""
    generator = torch.Generator().manual_seed(d)
    q, k = (torch.randn(2, tokens, heads, d, generator=generator) for tokens in (n, m))
    return ((scale * x).to(device, dtype).transpose(1, 2) for scale, x in ((3, q), (1, k)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", HEAD_DIMS)
def test_the_mean_over_heads_is_that_of_the_formula(gpu, only_kernels, dtype, d):
    q, k = queries_and_keys(gpu, dtype, d)
    total = torch.zeros(2, 1030, 1030, device=gpu)
    maps.add_head_mean(total, q, k, d**-0.5)
    exact = torch.softmax(q.double() @ k.double().mT * d**-0.5, -1).mean(1)
    assert (total - exact).abs().max() < 1e-4
    assert (total.sum(-1) - 1).abs().max() < 1e-3


def test_fewer_keys_than_queries_and_what_was_there_is_kept(gpu, only_kernels):
    q, k = queries_and_keys(gpu, torch.float16, 64, n=77, m=300)
    total = torch.ones(2, 77, 300, device=gpu)
    maps.add_head_mean(total, q, k, 0.125)
    exact = 1 + torch.softmax(q.double() @ k.double().mT * 0.125, -1).mean(1)
    assert (total - exact).abs().max() < 1e-4


def test_the_divergence_of_rows_is_that_of_the_formula(gpu, only_kernels):
    generator = torch.Generator().manual_seed(0)
    p, q = (
        torch.softmax(8 * torch.randn(2, 500, 4000, generator=generator), -1).to(gpu) for _ in "pq"
    )
    first, second = torch.randint(500, (2, 99), generator=generator).to(gpu)
    found = divergence.kl_between_rows(p, q, (first, second))
    least = divergence.MINIMUM_PROBABILITY
    there, here = (x.double().clamp_min(least) for x in (p[:, first], q[:, second]))
    exact = (there * (there / here).log()).sum(-1)
    assert ((found - exact).abs() / exact.max()).max() < 1e-5
