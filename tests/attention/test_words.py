import pytest
import torch

from trace_edges.attention.words import WordAverage


def shares(q, k, scale):
    return (q.double() @ k.double().mT * scale).softmax(-1).mean(1)


def test_words_have_the_sum_of_their_tokens():
    q, k = torch.randn(2, 3, 6, 4), torch.randn(2, 3, 9, 4)
    average = WordAverage([[1], [0, 4]])
    average.add((2, 3), q, k, 0.5, text=2)  # the first two keys are no text
    expected = shares(q, k, 0.5)
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
    expected = (shares(q, k, 1.0)[..., 3] + 2 / 5) / 3
    found = average.mean((4, 6))[0, 0].flatten().double()
    torch.testing.assert_close(found, expected[0], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="no attention to words was added"):
        average.mean((4, 6))


def test_a_grid_that_does_not_fit_is_refused():
    q = torch.randn(1, 2, 24, 4)
    with pytest.raises(ValueError, match="24 tokens do not fill a grid of 4 x 5"):
        WordAverage([[0]]).add((4, 5), q, q, 1.0, 0)
