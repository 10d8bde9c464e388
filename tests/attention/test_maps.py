"""Head means, upsampling and the running average against plain formulas."""

import pytest
import torch

from trace_edges.attention import MapAverage, add_head_mean, maps, upsample_map
from trace_edges.attention.maps import WordAverage


def random_map(b, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(b, n, n, generator=generator), dim=-1)


def plain_mean(q, k, scale):
    return torch.softmax(q.double() @ k.double().mT * scale, dim=-1).mean(dim=1)


@pytest.mark.parametrize("rows", [1, 5, 12, 10_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_head_mean_is_the_plain_mean_whatever_the_block(monkeypatch, rows, dtype):
    q, k = torch.randn(2, 3, 12, 8).to(dtype), torch.randn(2, 3, 12, 8).to(dtype)
    monkeypatch.setattr(maps, "_CPU_BLOCK_BYTES", rows * 4 * 2 * 12)
    total = torch.zeros(2, 12, 12)
    assert maps.row_block(total) == rows
    add_head_mean(total, q, k, 0.4)
    expected = plain_mean(q, k, 0.4)
    torch.testing.assert_close(total.double(), expected, rtol=0, atol=1e-6)
    add_head_mean(total, q, k, 0.4)  # it adds
    torch.testing.assert_close(total.double(), 2 * expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("queries", "keys"), [(5, 9), (9, 5)])
def test_queries_and_keys_may_differ_in_number(monkeypatch, queries, keys):
    q, k = torch.randn(2, 3, queries, 8), torch.randn(2, 3, keys, 8)
    monkeypatch.setattr(maps, "_CPU_BLOCK_BYTES", 2 * 4 * 2 * keys)  # two rows at once
    total = torch.zeros(2, queries, keys)
    add_head_mean(total, q, k, 0.4)
    expected = plain_mean(q, k, 0.4).float()
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(maps.head_mean(q, k, 0.4), expected)


def test_a_bias_is_added_to_the_logits_of_its_key():
    """Two keys that a query likes as well as each other, and log 3 for the second: 1/4 and 3/4."""
    total = torch.zeros(1, 2, 2)
    alike, bias = torch.ones(1, 2, 2, 4), torch.tensor([1.0, 3.0]).log()
    add_head_mean(total, torch.randn(1, 2, 2, 4), alike, 0.5, bias)
    torch.testing.assert_close(total, torch.tensor([[[0.25, 0.75]] * 2]))


@pytest.mark.parametrize("learning", ["q", "k"])
def test_gradients_of_an_average_are_those_of_the_plain_mean(learning):
    calls = {"q": torch.randn(2, 3, 6, 8), "k": torch.randn(2, 3, 6, 8)}
    calls[learning].requires_grad_()
    weights = torch.randn(2, 6, 6)
    found, expected = MapAverage(), plain_mean(**calls, scale=0.4).float()
    for _ in range(2):
        found.add((2, 3), **calls, scale=0.4)
    mean, _ = found.mean()
    torch.testing.assert_close(mean, expected)
    gradients = [
        torch.autograd.grad((weights * each).sum(), calls[learning])[0] for each in (mean, expected)
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("learning", "enabled"), [(True, False), (False, True)])
def test_without_gradients_maps_are_added_in_place(monkeypatch, learning, enabled):
    """`head_mean` holds the maps of every head at once."""
    monkeypatch.setattr(maps, "head_mean", None)
    q, average = torch.randn(1, 2, 6, 8, requires_grad=learning), MapAverage()
    with torch.set_grad_enabled(enabled):
        average.add((2, 3), q, q, 0.4)
    torch.testing.assert_close(average.mean()[0], plain_mean(q, q, 0.4).detach().float())


def test_a_block_has_at_least_one_row(monkeypatch):
    monkeypatch.setattr(maps, "_CPU_BLOCK_BYTES", 1)
    assert maps.row_block(torch.zeros(2, 12, 12)) == 1


@pytest.mark.parametrize("target", [(6, 8), (4, 5), (3, 7), (9, 12), (3, 4)])
def test_upsampled_rows_are_distributions(target):
    large = upsample_map(random_map(2, 12), (3, 4), target)
    tokens = target[0] * target[1]
    assert large.shape == (2, tokens, tokens)
    assert large.min() >= 0
    torch.testing.assert_close(large.sum(-1), torch.ones(2, tokens))
    constant = upsample_map(torch.full((1, 12, 12), 1 / 12), (3, 4), target)
    torch.testing.assert_close(constant, torch.full((1, tokens, tokens), 1 / tokens))


def test_upsampling_to_the_same_grid_changes_nothing():
    attention = random_map(2, 12)
    torch.testing.assert_close(upsample_map(attention, (3, 4), (3, 4)), attention)


@pytest.mark.parametrize(("grid", "target"), [((1, 2), (1, 4)), ((2, 1), (4, 1))])
def test_two_tokens_become_four_as_worked_by_hand(grid, target):
    # Weights of the two tokens at the four places: (1, 0), (3/4, 1/4), (1/4, 3/4), (0, 1). The
    # first query looks at itself, the second at both; each key shares its mass between two.
    attention = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    first, last = torch.tensor([1, 0.75, 0.25, 0]) / 2, torch.full((4,), 0.25)
    expected = torch.stack(
        [first, 0.75 * first + 0.25 * last, 0.25 * first + 0.75 * last, last]
    )  # rows are queries
    torch.testing.assert_close(upsample_map(attention, grid, target)[0], expected)


def test_upsampling_keeps_rows_and_columns_apart():
    """The only key of a 2 x 3 grid that is looked at spreads around its own place."""
    attention = torch.zeros(1, 6, 6)
    attention[:, :, 2] = 1  # top right
    row = upsample_map(attention, (2, 3), (4, 6))[0, 0].reshape(4, 6)
    assert row.argmax() == 5
    assert row[:, 0].max() == 0
    assert row[0, 5] > row[3, 5] == 0


@pytest.mark.parametrize(("large", "error"), [((4, 6), 1e-6), ((3, 8), 1e-3), ((5, 7), 1e-3)])
def test_average_over_two_grids_is_the_average_of_the_upsampled(large, error):
    """Each layer has its share, also where the factor is no whole number and rows are scaled."""
    small, tokens = (2, 3), large[0] * large[1]
    average, expected = MapAverage(), torch.zeros(2, tokens, tokens)
    for seed, grid in enumerate([small, large, small]):
        generator = torch.Generator().manual_seed(seed)
        q, k = torch.randn(2, 2, 3, grid[0] * grid[1], 8, generator=generator)
        average.add(grid, q, k, 0.5)
        expected += upsample_map(plain_mean(q, k, 0.5).float(), grid, large) / 3
    mean, grid = average.mean()
    assert grid == large
    torch.testing.assert_close(mean, expected, rtol=0, atol=error)
    torch.testing.assert_close(mean.sum(-1), torch.ones(2, tokens))
    with pytest.raises(ValueError, match="no attention map"):  # mean() has emptied it
        average.mean()


def test_tokens_that_do_not_fill_the_grid_are_refused():
    q = torch.randn(1, 2, 12, 8)
    with pytest.raises(ValueError, match="12 tokens do not fill a grid of 3 x 5"):
        MapAverage().add((3, 5), q, q, 1.0)


def test_the_larger_grid_has_more_cells_not_more_rows():
    average = MapAverage()
    for grid in ((6, 2), (3, 5), (4, 3)):
        q = torch.randn(1, 2, grid[0] * grid[1], 8)
        average.add(grid, q, q, 0.5)
    mean, grid = average.mean()
    assert grid == (3, 5)
    torch.testing.assert_close(mean.sum(-1), torch.ones(1, 15))


def test_an_average_begins_anew_after_its_mean():
    average, q = MapAverage(), torch.randn(1, 2, 6, 4)
    for _ in range(2):
        average.add((2, 3), q, q, 0.5)
        torch.testing.assert_close(average.mean()[0].sum(-1), torch.ones(1, 6))


def test_words_have_the_sum_of_their_tokens():
    q, k = torch.randn(2, 3, 6, 4), torch.randn(2, 3, 9, 4)
    average = WordAverage([[1], [0, 4]])
    average.add((2, 3), q, k, 0.5, text=2)  # the first two keys are no text
    expected = plain_mean(q, k, 0.5)
    found = average.mean((2, 3)).double()
    assert found.shape == (2, 2, 2, 3)
    torch.testing.assert_close(found[:, 0].flatten(1), expected[..., 3], rtol=0, atol=1e-6)
    both = expected[..., 2] + expected[..., 6]
    torch.testing.assert_close(found[:, 1].flatten(1), both, rtol=0, atol=1e-6)


def test_a_mask_takes_from_its_keys():
    q, k = torch.randn(1, 3, 6, 4), torch.randn(1, 3, 9, 4)
    bias = torch.tensor([0, 0, 0, -1.0, 0, 0, 0, -torch.inf, -torch.inf])
    average = WordAverage([[0], [1], [5]])
    average.add((2, 3), q, k, 0.5, text=2, bias=bias)
    logits = q.double() @ k.double().mT * 0.5 + bias
    expected = logits.softmax(-1).mean(1)[..., [2, 3, 7]].mT
    torch.testing.assert_close(
        average.mean((2, 3)).flatten(2).double(), expected, rtol=0, atol=1e-6
    )


def test_smaller_grids_are_enlarged_and_every_layer_counts_once():
    q, k = torch.randn(1, 2, 24, 4), torch.randn(1, 2, 5, 4)
    flat = torch.zeros(1, 2, 6, 4)  # pays every key the same
    average = WordAverage([[3]])
    for grid, queries in (((4, 6), q), ((2, 3), flat), ((2, 3), flat)):
        average.add(grid, queries, k, 1.0, text=0)
    expected = (plain_mean(q, k, 1.0)[..., 3] + 2 / 5) / 3
    found = average.mean((4, 6))[0, 0].flatten().double()
    torch.testing.assert_close(found, expected[0], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="no attention to words was added"):
        average.mean((4, 6))


def test_places_that_do_not_fill_the_grid_are_refused():
    q = torch.randn(1, 2, 24, 4)
    with pytest.raises(ValueError, match="24 tokens do not fill a grid of 4 x 5"):
        WordAverage([[0]]).add((4, 5), q, q, 1.0, 0)
