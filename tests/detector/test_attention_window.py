"""The window of a self-attention map: known numbers, the frame, and mirrored pictures."""

import torch

from trace_edges.detector.attention_window import attention_window

GRID = (3, 4)


def random_map():
    logits = torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(0))
    return torch.softmax(logits, dim=-1)


def test_even_attention_is_zero_everywhere():
    even = torch.full((1, 12, 12), 1 / 12)
    window = attention_window(even, GRID, 1)
    assert window.shape == (1, 9, 3, 4)
    assert torch.allclose(window, torch.zeros(()), atol=1e-6)


def test_the_middle_channel_is_what_a_cell_pays_to_itself():
    maps = random_map()
    window = attention_window(maps, GRID, 1)
    itself = (12 * maps.diagonal(dim1=1, dim2=2)).log().unflatten(1, GRID)
    assert torch.allclose(window[:, 4], 2 * itself, atol=1e-5)


def test_left_and_right_come_as_sum_and_difference():
    maps = random_map()
    window = attention_window(maps, GRID, 1)
    query = 1 * 4 + 1  # row 1, column 1
    left, right = ((12 * maps[0, query, key]).log() for key in (query - 1, query + 1))
    assert torch.allclose(window[0, 3, 1, 1], left + right, atol=1e-5)
    assert torch.allclose(window[0, 5, 1, 1], (right - left).abs(), atol=1e-5)


def test_what_lies_outside_counts_as_even():
    maps = random_map()
    window = attention_window(maps, GRID, 1)
    right = (12 * maps[0, 0, 1]).log()  # of the first cell; to its left there is nothing
    assert torch.allclose(window[0, 3, 0, 0], right, atol=1e-5)


def test_a_mirrored_picture_has_the_mirrored_window():
    maps = random_map()
    turned = torch.arange(12).reshape(GRID).flip(-1).flatten()
    mirrored = maps[:, turned][:, :, turned]
    straight = attention_window(maps, GRID, 2)
    assert torch.allclose(attention_window(mirrored, GRID, 2), straight.flip(-1), atol=1e-5)
