"""The emergence point of planted jumps, and the curve against SciPy."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from trace_edges.attention import maps
from trace_edges.emergence import emergence_index, map_divergence

STEPS = 6


def random_map(seed, b=2, n=12):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(b, n, n, generator=generator), dim=-1)


def curve_of(steps):
    changes = [map_divergence(a, b) for a, b in pairwise(steps)]
    return torch.stack(changes, dim=1).numpy()


@pytest.mark.parametrize("jump", range(1, STEPS))
def test_a_planted_jump_is_found(jump):
    before, after = random_map(0), random_map(1)
    curve = curve_of([before] * jump + [after] * (STEPS - jump))
    assert curve.shape == (2, STEPS - 1)
    assert np.count_nonzero(np.abs(curve) > 1e-6) == 2  # one change per image
    assert emergence_index(curve).tolist() == [jump, jump]


def test_every_image_has_its_own():
    early, late = random_map(0, b=1), random_map(1, b=1)
    steps = [torch.cat([early if i < 2 else late, early if i < 4 else late]) for i in range(STEPS)]
    assert emergence_index(curve_of(steps)).tolist() == [2, 4]


@pytest.mark.parametrize("rows", [1, 5, 1000])
def test_the_curve_is_the_mean_kl_of_the_rows(monkeypatch, rows):
    previous, current = random_map(0), random_map(1)
    monkeypatch.setattr(maps, "_CPU_BLOCK_BYTES", rows * 4 * 2 * 12)
    expected = rel_entr(previous.double().numpy(), current.double().numpy()).sum(-1).mean(-1)
    np.testing.assert_allclose(map_divergence(previous, current), expected, rtol=0, atol=1e-6)
    backwards = map_divergence(current, previous)
    assert not np.allclose(backwards, expected, rtol=0.01)  # the direction matters


def test_the_first_change_can_be_ignored():
    curve = np.array([[9.0, 1.0, 2.0], [0.0, 3.0, 2.0]])
    assert emergence_index(curve).tolist() == [1, 2]
    assert emergence_index(curve, first=1).tolist() == [3, 2]


@pytest.mark.parametrize(("changes", "first"), [(0, 0), (1, 1), (2, 3)])
def test_a_curve_without_a_change_is_refused(changes, first):
    with pytest.raises(ValueError, match=f"{changes} changes has none after the first {first}"):
        emergence_index(np.zeros((1, changes)), first=first)
