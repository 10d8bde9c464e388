"""The emergence point of planted jumps; every criterion on rows that can be worked out on paper."""

from itertools import pairwise
from math import log
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from trace_edges.attention import maps
from trace_edges.training_free.emergence import Criterion, emergence_index, map_change

STEPS = 6
GRID = (3, 4)
CRITERIA = get_args(Criterion)


def random_map(seed, b=2, n=12):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(b, n, n, generator=generator), dim=-1)


def curve_of(steps):
    changes = [map_change(a, b, GRID) for a, b in pairwise(steps)]
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
    np.testing.assert_allclose(map_change(previous, current, GRID), expected, rtol=0, atol=1e-6)
    backwards = map_change(current, previous, GRID)
    assert not np.allclose(backwards, expected, rtol=0.01)  # the direction matters


def all_rows(row):
    """A map on a grid of 2 x 3 whose six queries all look at the same keys."""
    return torch.tensor(row).expand(1, 6, 6).contiguous()


FIRST = all_rows([1.0, 0, 0, 0, 0, 0])  # every query looks at row 0, column 0
LAST = all_rows([0.0, 0, 0, 0, 0, 1])  # row 1, column 2
TWO = all_rows([0.5, 0.5, 0, 0, 0, 0])  # row 0, columns 0 and 1
BELOW = all_rows([0.0, 0, 0, 1, 0, 0])  # row 1, column 0


@pytest.mark.parametrize(
    ("criterion", "previous", "current", "expected"),
    [
        ("kl", FIRST, TWO, log(2)),  # 1 log(1 / 0.5)
        ("l1", FIRST, LAST, 2.0),
        ("l1", FIRST, TWO, 1.0),
        ("l2", FIRST, LAST, 2**0.5),
        ("l2", FIRST, TWO, 0.5**0.5),
        ("entropy", FIRST, LAST, 0.0),
        ("entropy", FIRST, TWO, log(2)),
        ("entropy", TWO, FIRST, log(2)),
        ("wasserstein", FIRST, LAST, 1 + 2),  # one cell down, two to the right
        ("wasserstein", FIRST, BELOW, 1.0),
        ("wasserstein", FIRST, TWO, 0.5),  # half of it, one cell to the right
        ("wasserstein", LAST, BELOW, 2.0),
    ],
)
def test_criteria_worked_out_on_paper(criterion, previous, current, expected):
    found = map_change(previous, current, (2, 3), criterion)
    assert found.tolist() == pytest.approx([expected], abs=1e-6)


def test_rows_that_gain_and_rows_that_lose_entropy_cancel():
    """The criterion is the change of the mean, not the mean of the changes."""
    half = torch.arange(6)[:, None] < 3
    previous, current = torch.where(half, FIRST, TWO), torch.where(half, TWO, FIRST)
    assert map_change(previous, current, (2, 3), "entropy").item() == pytest.approx(0, abs=1e-6)
    assert map_change(previous, current, (2, 3), "l1").item() == pytest.approx(1)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_criterion_is_the_same_in_blocks_and_nothing_without_a_change(monkeypatch, criterion):
    previous, current = random_map(0), random_map(1)
    whole = map_change(previous, current, GRID, criterion)
    assert (whole > 1e-3).all()
    assert map_change(current, current, GRID, criterion).tolist() == pytest.approx([0, 0], abs=1e-6)
    monkeypatch.setattr(maps, "_CPU_BLOCK_BYTES", 5 * 4 * 2 * 12)
    torch.testing.assert_close(map_change(previous, current, GRID, criterion), whole)


def test_the_first_change_can_be_ignored():
    curve = np.array([[9.0, 1.0, 2.0], [0.0, 3.0, 2.0]])
    assert emergence_index(curve).tolist() == [1, 2]
    assert emergence_index(curve, first=1).tolist() == [3, 2]


@pytest.mark.parametrize(("changes", "first"), [(0, 0), (1, 1), (2, 3)])
def test_a_curve_without_a_change_is_refused(changes, first):
    with pytest.raises(ValueError, match=f"{changes} changes has none after the first {first}"):
        emergence_index(np.zeros((1, changes)), first=first)
