import numpy as np

from trace_edges.instances.components import (
    bounding_box,
    by_falling_size,
    components,
    cut_pixels,
    fragment_cores,
)


def test_a_diagonal_line_separates():
    labels = components(~np.eye(6, dtype=bool))
    assert labels.max() == 2
    assert labels[0, 5] != labels[5, 0]


def test_hysteresis_follows_a_line_down_to_its_share():
    edges = np.zeros((5, 8))
    edges[1] = [0.6, 0.3, 0.3, 0.2, 0.3, 0, 0, 0]  # broken at column 3
    edges[2, 2] = 0.25  # beside the line, exactly half the threshold
    edges[4] = 0.4  # reaches the threshold nowhere
    cut = cut_pixels(edges, 0.5, 0.5)
    assert np.argwhere(cut).tolist() == [[1, 0], [1, 1], [1, 2], [2, 2]]
    assert np.argwhere(cut_pixels(edges, 0.5, 1)).tolist() == [[1, 0]]


def test_a_diagonal_line_is_followed():
    edges = np.eye(6) * 0.3
    edges[0, 0] = 1
    assert cut_pixels(edges, 0.5, 0.5).sum() == 6


def gap(width):
    """A wall in the middle column of 21 x 21, open for so many rows."""
    cut = np.zeros((21, 21), dtype=bool)
    cut[:, 10] = True
    cut[8 : 8 + width, 10] = False
    return cut


def test_cores_are_split_at_gaps_up_to_the_width():
    everything = np.ones((21, 21), dtype=bool)
    for width, close_gap, expected in ((3, 0, 1), (3, 2, 1), (3, 3, 2), (4, 3, 2), (5, 3, 1)):
        # a gap of 4 takes 2 px from either side, as one of 3 does
        cores = fragment_cores(everything, gap(width), close_gap)
        assert len(np.unique(cores[cores > 0])) == expected


def test_a_fragment_with_one_core_or_none_is_whole():
    cut = np.zeros((9, 9), dtype=bool)
    cut[:, 3] = True  # columns 0-2 are within 3 px of it, those from 7 on are not
    cores = fragment_cores(np.ones((9, 9), dtype=bool), cut, 5)
    for side in (cores[:, :3], cores[:, 4:]):
        assert (side == side[0, 0]).all()
    assert 0 < cores[0, 0] != cores[0, 4] > 0


def test_sizes_and_boxes():
    labels = np.array([[0, 5, 5], [2, 5, 9], [0, 0, 9]], dtype=np.int32)
    assert by_falling_size(labels).tolist() == [[0, 1, 1], [3, 1, 2], [0, 0, 2]]
    assert bounding_box(labels == 9) == np.s_[1:3, 2:3]
