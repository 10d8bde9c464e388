"""The kernels fit every card: compiled for it by Triton, without a GPU."""

import pytest
import torch

from trace_edges.attention.tiles import Card, multiplied_as, tiles_for

triton = pytest.importorskip("triton", reason='pip install "trace-edges[fast]"')

from benchmarks.speed import kernels  # noqa: E402  (needs Triton)

MOST_REGISTERS = 255  # that a thread can have
MOST_SPILLED = 256  # bytes of a thread: a few values; whole tiles would be kilobytes


@pytest.fixture(autouse=True)
def an_empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def check(name, arch, dtype, d):
    found = kernels.compile_head_mean(name, arch, dtype, d)
    case = f"{name} on sm_{arch}, {dtype}, head dimension {d}: {found}"
    assert found.shared <= kernels.CARDS[arch].shared, case
    assert found.registers <= MOST_REGISTERS, case
    assert found.spilled <= MOST_SPILLED, case


# Its float32 for sm_120 does not compile, and PyTorch takes its place there.
TRITON_3_3 = triton.__version__.startswith("3.3.")


@pytest.mark.parametrize(
    ("arch", "dtype", "d"),
    [(86, "fp16", 160), (90, "fp32", 160), (75, "fp16", 160), (80, "bf16", 64),
     pytest.param(120, "fp32", 72, marks=pytest.mark.skipif(TRITON_3_3, reason="not by 3.3"))],
)  # fmt: skip
def test_what_did_not_fit_with_fixed_tiles(arch, dtype, d):
    for name in kernels.HEAD_MEAN:
        check(name, arch, dtype, d)


# What decides are tiles, and those of fp16 and bf16 are equal; of fp32 only the loop's end differs.
# 89 takes the tiles of 86, and compiling for 100 takes twice as long.
FEWER = (40, 64, 160, 256)
DIMENSIONS = {"fp16": kernels.HEAD_DIMENSIONS, "bf16": (64, 160), "fp32": (8, 40, 160)}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("arch", kernels.CARDS)
def test_every_kernel_fits_every_card(arch):
    for dtype, dimensions in DIMENSIONS.items():
        if TRITON_3_3 and (arch, dtype) == (120, "fp32"):
            continue
        for d in FEWER if arch in (89, 100) and dtype == "fp16" else dimensions:
            for name in kernels.HEAD_MEAN:
                check(name, arch, dtype, d)
    assert kernels.compile_divergence(arch).shared < 1 << 10


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_half_precision_is_multiplied_by_tensor_cores(dtype):
    """Of 128 queries, 128 keys, 64 channels by 8 warps: 64 products of 16 x 8 x 16 for each."""
    found = kernels.compile_head_mean("_add_mean", 80, dtype, 64, instructions=True)
    assert found.products == 128 * 128 * 64 // (16 * 8 * 16) // 8
    assert found.exponentials == 128 * 128 // (8 * 32)


def test_float32_is_multiplied_by_tensor_cores_three_times():
    """Of 64 queries, 64 keys, 16 channels by 4 warps: three times 16 products of 16 x 8 x 8."""
    found = kernels.compile_head_mean("_add_mean", 80, "fp32", 64, instructions=True)
    assert found.products == 3 * 64 * 64 * 16 // (16 * 8 * 8) // 4


def test_capture_costs_at_most_a_quarter_of_a_pass_by_operations():
    for px in (512, 1024):
        counted = kernels.operations(kernels.SD35_LARGE, (px // 16) ** 2)
        assert counted["capture"] <= 0.25 * counted["pass"]
    # By hand at 1024 px: 2 * 2 * 4096^2 * 2432 for each of 38 layers.
    assert counted["capture"] == 38 * 4 * 4096**2 * 2432


def truncated(x):
    """The ten bits of mantissa that a tensor core reads of float32."""
    return (x.view(torch.int32) & ~0x1FFF).view(torch.float32)


@pytest.mark.parametrize("d", [64, 160, 256])
def test_three_emulated_products_of_tf32_are_as_good_as_float32(d):
    """The sum that Triton makes for "tf32x3", with PyTorch: a card may round its sums otherwise."""
    q, k = torch.randn(300, d) * 3, torch.randn(300, d)
    exact = torch.softmax(q.double() @ k.double().T * d**-0.5, -1)
    (q_high, q_low), (k_high, k_low) = ((truncated(x), truncated(x - truncated(x))) for x in (q, k))
    thrice = q_low @ k_high.T + q_high @ k_low.T + q_high @ k_high.T
    once = q_high @ k_high.T
    errors = [
        (torch.softmax(one.double() * d**-0.5, -1) - exact).abs().max() for one in (thrice, once)
    ]
    assert errors[0] < 1e-5 < 1e-4 < errors[1]


def test_any_head_dimension_fits_any_card():
    """By the sizes of tiles: the loads of one stage fit, or a loop goes over the channels."""
    for card in kernels.CARDS.values():
        for d in range(1, 1025):
            for itemsize in (2, 4):
                tiles = tiles_for(d, itemsize, card)
                width = (
                    -(-d // tiles.channels) * tiles.channels if tiles.unrolled else tiles.channels
                )
                loaded = (tiles.queries + tiles.keys) * width * itemsize
                assert max(1, tiles.stages - 1) * loaded < card.shared


def test_other_makers_cards_take_what_needs_least():
    assert tiles_for(160, 2, Card(0, 64 << 10)).precision == "ieee"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cards_before_ampere_multiply_in_float32(dtype):
    """Triton 3.3 compiles no half precision for them, and none has tensor cores in any version."""
    assert multiplied_as(dtype, Card(75, 64 << 10)) == torch.float32
    assert (
        multiplied_as(dtype, Card(80, 163 << 10))
        == multiplied_as(dtype, Card(0, 64 << 10))
        == dtype
    )
