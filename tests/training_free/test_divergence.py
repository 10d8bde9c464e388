"""ABDiv: known pictures, symmetries, and a slow loop with SciPy that must agree."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from trace_edges.attention import maps
from trace_edges.training_free.divergence import (
    MINIMUM_PROBABILITY,
    boundary_divergence,
    kl_divergence,
)

GRID = (5, 7)
VARIANTS = list(itertools.product((4, 8), (False, True), ("scale", "copy")))


def random_map(grid=GRID, seed=0):
    n = grid[0] * grid[1]
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(1, n, n, generator=generator), dim=-1)


def two_squares(grid):
    """Every cell looks uniformly at the half, left or right, that it lies in."""
    h, w = grid
    right = (torch.arange(w) >= w // 2).repeat(h)
    same = (right[:, None] == right).float()
    return (same / same.sum(-1, keepdim=True))[None]


def transposed(attention, grid):
    swapped = attention.unflatten(1, grid).unflatten(3, grid).permute(0, 2, 1, 4, 3)
    return swapped.flatten(1, 2).flatten(2)


def flipped(attention, grid):
    """The maps of the mirrored image."""
    return attention.unflatten(1, grid).unflatten(3, grid).flip(2, 4).flatten(1, 2).flatten(2)


def slow_divergence(attention, grid, neighbours, symmetric, border):
    """Cell by cell, from the definition."""
    (h, w), rows = grid, attention[0].double().clamp_min(MINIMUM_PROBABILITY).numpy()
    rows = rows.reshape(h, w, -1)

    def inside(i, j):
        return min(max(i, 0), h - 1), min(max(j, 0), w - 1)

    result = np.zeros(grid)
    offsets = [(1, 0), (0, 1), (1, 1), (1, -1)][: neighbours // 2]
    for (i, j), (di, dj) in itertools.product(np.ndindex(grid), offsets):
        y, x = (min(max(i, 1), h - 2), min(max(j, 1), w - 2)) if border == "copy" else (i, j)
        ahead, behind = inside(y + di, x + dj), inside(y - di, x - dj)
        term = rel_entr(rows[ahead], rows[behind]).sum()
        if symmetric:
            term = (term + rel_entr(rows[behind], rows[ahead]).sum()) / 2
        shrunk = math.dist(ahead, behind) / (2 * math.hypot(di, dj))
        result[i, j] += term / shrunk**2
    return result


def test_kl_is_scipys():
    p, q = random_map(seed=1), random_map(seed=2)
    expected = rel_entr(p.double().numpy(), q.double().numpy()).sum(-1)
    np.testing.assert_allclose(kl_divergence(p, q), expected, rtol=1e-5)


@pytest.mark.parametrize("border", ["scale", "copy"])
def test_two_touching_squares_have_their_edge_on_the_shared_side(border):
    divergence = boundary_divergence(two_squares((6, 12)), (6, 12), border=border)[0]
    # Both halves have 36 cells: KL = log of 1/36 over the least probability.
    expected = torch.zeros(6, 12)
    expected[:, 5:7] = math.log(1 / 36 / MINIMUM_PROBABILITY)
    torch.testing.assert_close(divergence, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("neighbours", "symmetric", "border"), VARIANTS)
def test_constant_attention_has_no_edge(neighbours, symmetric, border):
    constant = torch.full((2, 35, 35), 1 / 35)
    divergence = boundary_divergence(
        constant, GRID, neighbours=neighbours, symmetric=symmetric, border=border
    )
    assert torch.equal(divergence, torch.zeros(2, *GRID))


@pytest.mark.parametrize("rows", [1, 4, 1000])
@pytest.mark.parametrize(("neighbours", "symmetric", "border"), VARIANTS)
def test_equal_to_the_slow_loop(monkeypatch, rows, neighbours, symmetric, border):
    attention = random_map()
    monkeypatch.setattr(maps, "_CPU_BLOCK_BYTES", rows * 4 * attention.shape[-1])
    options = {"neighbours": neighbours, "symmetric": symmetric, "border": border}
    divergence = boundary_divergence(attention, GRID, **options)[0]
    np.testing.assert_allclose(divergence, slow_divergence(attention, GRID, **options), rtol=1e-5)


def test_images_of_a_batch_do_not_mix():
    first, second = random_map(seed=1), random_map(seed=2)
    both = boundary_divergence(torch.cat([first, second]), GRID)
    assert torch.equal(both[:1], boundary_divergence(first, GRID))
    assert torch.equal(both[1:], boundary_divergence(second, GRID))


@pytest.mark.parametrize("border", ["scale", "copy"])
def test_transposed_maps_give_transposed_edges(border):
    attention = random_map()
    straight = boundary_divergence(attention, GRID, border=border)
    turned = boundary_divergence(transposed(attention, GRID), GRID[::-1], border=border)
    torch.testing.assert_close(turned, straight.mT, rtol=1e-5, atol=0)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_flipping_commutes_only_if_symmetric(neighbours):
    attention = random_map()
    for symmetric in (True, False):
        options = {"neighbours": neighbours, "symmetric": symmetric}
        straight = boundary_divergence(attention, GRID, **options).flip(2)
        mirrored = boundary_divergence(flipped(attention, GRID), GRID, **options)
        assert torch.allclose(straight, mirrored, rtol=1e-5) is symmetric


@pytest.mark.parametrize(("neighbours", "squares"), [(4, 4 + 4), (8, 4 + 4 + 8 + 8)])
@pytest.mark.parametrize("width", [2.0, 2.5])
def test_a_translation_invariant_field_is_level_up_to_the_border(width, neighbours, squares):
    """Every cell looks around itself with one Gaussian on a torus, so that none is cut off.

    The KL of two Gaussians is distance^2 / (2 width^2): nothing distinguishes the border.
    """
    grid = (24, 28)
    ways = []
    for n in grid:
        gap = (torch.arange(n)[:, None] - torch.arange(n)).abs()
        ways.append(torch.softmax(-(torch.minimum(gap, n - gap) ** 2) / (2 * width**2), -1))
    attention = torch.kron(*ways)[None]  # (1, N, N)
    divergence = boundary_divergence(attention, grid, neighbours=neighbours)
    level = torch.full((1, *grid), squares / (2 * width**2))
    torch.testing.assert_close(divergence, level, rtol=0.01, atol=0)


@pytest.mark.parametrize(
    ("grid", "border", "smallest"), [((1, 4), "scale", 2), ((2, 2), "copy", 3)]
)
def test_too_small_grids_are_refused(grid, border, smallest):
    with pytest.raises(ValueError, match=rf"grid of at least {smallest} x {smallest}, got"):
        boundary_divergence(random_map(grid), grid, border=border)


def test_the_smallest_grids_are_not():
    for grid, border in (((2, 2), "scale"), ((3, 3), "copy")):
        divergence = boundary_divergence(random_map(grid), grid, neighbours=8, border=border)
        assert divergence.isfinite().all()


def test_a_grid_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="35 tokens does not fit a grid of 5 x 6"):
        boundary_divergence(random_map(), (5, 6))
