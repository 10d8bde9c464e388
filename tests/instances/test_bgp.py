from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from trace_edges.instances import Propagation, propagate
from trace_edges.instances.bgp import Method, flood, merge_across_weak_borders
from trace_edges.instances.components import borders


def two_squares(gap=0, strength=1.0):
    """Two touching squares of 64 px, and the edge between them, open in its middle."""
    mask = np.zeros((80, 144), dtype=bool)
    mask[8:72, 8:136] = True
    edges = np.zeros(mask.shape, dtype=np.float32)
    edges[8:72, 72] = strength
    edges[38 : 38 + gap, 72] = 0
    return mask, edges


def disc(radius=30):
    rows, columns = np.mgrid[:80, :80] - 40
    return rows**2 + columns**2 <= radius**2


@pytest.mark.parametrize("gap", [0, 1, 3, 5])
@pytest.mark.parametrize("strength", [0.96, 1.0])
def test_two_touching_squares_stay_two(gap, strength):
    mask, edges = two_squares(gap, strength)
    labels = propagate(mask, edges)
    assert labels.max() == 2
    # All but the column of the edge is on the right side of it, in the gap as well.
    assert len(np.unique(labels[8:72, 8:72])) == len(np.unique(labels[8:72, 73:136])) == 1
    assert np.array_equal(labels > 0, mask)


def test_a_gap_is_closed_also_in_a_smooth_edge():
    mask, edges = two_squares(3)
    smooth = gaussian_filter(edges, 2)
    smooth = np.clip(smooth / np.median(smooth[8:30, 72]), 0, 1)
    assert propagate(mask, smooth, Propagation(threshold=0.7)).max() == 2


def test_without_closing_the_gap_joins_them():
    mask, edges = two_squares(3)
    assert propagate(mask, edges, Propagation(close_gap=0)).max() == 1
    assert propagate(mask, edges, Propagation(close_gap=1)).max() == 1


def test_a_wide_opening_is_no_gap():
    assert propagate(*two_squares(32)).max() == 1


@pytest.mark.parametrize(("strength", "pieces"), [(0.24, 1), (0.94, 1), (0.96, 2)])
def test_a_disc_is_cut_by_an_edge_above_the_threshold_only(strength, pieces):
    edges = np.zeros((80, 80), dtype=np.float32)
    edges[:, 40] = strength
    assert propagate(disc(), edges).max() == pieces


def test_an_edge_that_ends_inside_does_not_cut():
    edges = np.zeros((80, 80), dtype=np.float32)
    edges[:40, 40] = 1  # half way through the disc
    assert propagate(disc(), edges).max() == 1


def test_a_narrow_neck_without_an_edge_does_not_cut():
    mask = np.zeros((40, 90), dtype=bool)
    mask[5:35, 5:35] = mask[5:35, 55:85] = mask[19:21, 35:55] = True
    assert propagate(mask, np.zeros(mask.shape)).max() == 1


def test_a_small_fragment_falls_to_its_neighbour_and_a_lone_one_stays():
    mask = np.zeros((30, 30), dtype=bool)
    mask[:20, :20] = True
    mask[25:27, 25:27] = True
    edges = np.zeros((30, 30))
    edges[4, :4] = edges[:4, 4] = 1  # cuts off a corner of 16 px
    assert propagate(mask, edges).max() == 2
    small = {"min_area": 16, "min_radius": 0}
    assert propagate(mask, edges, Propagation(**small)).max() == 3


def test_edges_everywhere_leave_the_mask_whole():
    labels = propagate(disc(), np.ones((80, 80)))
    assert np.array_equal(labels, disc().astype(int))


def test_the_largest_fragment_comes_first():
    mask, edges = np.ones((20, 60), dtype=bool), np.zeros((20, 60))
    edges[:, 15] = 1
    labels = propagate(mask, edges)
    assert (labels[:, 16:] == 1).all()
    assert (labels[:, :15] == 2).all()


def test_a_mask_without_a_pixel_has_no_fragment():
    assert not propagate(np.zeros((5, 7), dtype=bool), np.ones((5, 7))).any()


def test_the_random_walk_separates_as_the_watershed_does():
    mask, edges = two_squares()
    walked = propagate(mask, edges, Propagation(method="random_walk"))
    assert walked.max() == 2
    differs = walked != propagate(mask, edges)
    assert not differs[:, :70].any()
    assert not differs[:, 75:].any()


@pytest.mark.parametrize("method", ["watershed", "random_walk"])
def test_random_masks_keep_every_pixel(method):
    rng = np.random.default_rng(1)
    for _ in range(10):
        size = rng.integers(1, 40, 2)
        mask, edges = rng.random(size) < rng.random(), rng.random(size)
        labels = propagate(mask, edges, Propagation(method=method))
        assert np.array_equal(labels > 0, mask)


@settings(max_examples=1000, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    blur=st.sampled_from([0, 1, 3]),
    close_gap=st.integers(0, 7),
    min_area=st.integers(0, 30),
)
def test_nothing_is_lost(seed, height, width, blur, close_gap, min_area):
    rng = np.random.default_rng(seed)
    noise, density = gaussian_filter(rng.random((2, height, width)), (0, blur, blur)), rng.random()
    mask, edges = noise[0] < np.quantile(noise[0], density), noise[1]
    labels = propagate(mask, edges, Propagation(close_gap=close_gap, min_area=min_area))
    assert np.array_equal(labels > 0, mask)
    areas = np.bincount(labels.ravel())[1:]
    assert (areas > 0).all()
    assert (np.diff(areas) <= 0).all()


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (np.zeros((7, 5)), "swapped"),
        (np.zeros((6, 6)), "one size"),
        (np.full((5, 7), 255.0), "divide 8-bit values by 255"),
        (np.full((5, 7), np.nan), "NaN"),
    ],
)
def test_wrong_edges(edges, message):
    with pytest.raises(ValueError, match=message):
        propagate(np.ones((5, 7), dtype=bool), edges)


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": 0}, {"hysteresis": 2}, {"closed": -1}, {"close_gap": -1}, {"min_area": -2}],
)
def test_wrong_settings(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Propagation(**wrong)
    with pytest.raises(ValueError, match="choose from watershed, random_walk"):
        Propagation(method="walk")


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.01}, {"hysteresis": -0.01}, {"closed": 1.01}, {"threshold": -0.01}]
)
def test_settings_beyond_their_limits(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Propagation(**wrong)


def test_settings_at_their_limits():
    """With a threshold of 1 and no hysteresis only what is 1 cuts; with 0, all that it touches."""
    edges = np.zeros((20, 60), dtype=np.float32)
    edges[:, 15], edges[:10, 40], edges[10:, 40] = 0.99, 1, 0.01
    mask = np.ones(edges.shape, dtype=bool)
    plain = {"threshold": 1, "close_gap": 0, "min_area": 0}
    assert propagate(mask, edges, Propagation(**plain, hysteresis=1)).max() == 1
    assert propagate(mask, edges, Propagation(**plain, hysteresis=0.01)).max() == 2
    everything = Propagation(**plain, hysteresis=0)
    assert propagate(mask, edges, everything).max() == 1  # no pixel is left to begin at
    edges[:, 40] = 1
    assert propagate(mask, edges, Propagation(**plain, hysteresis=1)).max() == 2
    assert propagate(mask, edges, Propagation(threshold=1, closed=1)).max() == 2
    assert propagate(mask, edges, Propagation(threshold=1, closed=0)).max() == 2


def test_an_edge_of_exactly_the_threshold_cuts():
    mask, edges = two_squares(strength=0.5)
    assert propagate(mask, edges, Propagation(threshold=0.5)).max() == 2
    assert propagate(mask, edges, Propagation(threshold=0.51, hysteresis=1)).max() == 1


@pytest.mark.parametrize("value", [-0.01, 1.01])
def test_one_value_out_of_range_is_enough(value):
    edges = np.zeros((5, 7))
    edges[2, 3] = value
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        propagate(np.ones((5, 7), dtype=bool), edges)


def test_only_swapped_sides_are_called_swapped():
    with pytest.raises(ValueError, match="must have one size:"):
        propagate(np.ones((5, 7), dtype=bool), np.zeros((6, 6)))


def test_an_image_without_a_pixel_has_no_fragment():
    assert propagate(np.zeros((0, 7), dtype=bool), np.zeros((0, 7))).shape == (0, 7)


def test_the_random_walk_is_another_method():
    """Both begin at the same markers but need not meet at the same pixels."""
    edges = gaussian_filter(np.random.default_rng(0).random((40, 40)), 3)
    edges = (edges - edges.min()) / np.ptp(edges)
    mask = np.ones(edges.shape, dtype=bool)
    one, other = (
        propagate(mask, edges, Propagation(threshold=0.5, hysteresis=0.5, dividing=0, method=m))
        for m in get_args(Method)
    )
    assert one.max() > 1
    assert other.max() > 1
    assert not np.array_equal(one, other)


def test_lengths_and_edges_of_borders():
    labels = np.array([[1, 1, 2], [1, 1, 2], [3, 3, 0]], dtype=np.int32)
    cut = np.zeros((3, 3), dtype=bool)
    cut[0, 1] = True
    pairs, lengths, edges = borders(labels, cut)
    assert pairs.tolist() == [[1, 2], [1, 3]]  # 2 and 3 meet only in a corner
    assert lengths.tolist() == [2, 2]
    assert edges.tolist() == [1, 0]


def stripes(*shares):
    """Stripes of 10 rows, 4 columns each, and an edge on so many rows of each border."""
    labels = np.repeat(np.arange(1, len(shares) + 2), 4)[None].repeat(10, axis=0).astype(np.int32)
    cut = np.zeros(labels.shape, dtype=bool)
    for place, rows in enumerate(shares, 1):
        cut[:rows, 4 * place] = True
    return labels, cut


def test_a_border_stays_from_its_share_on():
    for rows, regions in ((10, 2), (8, 2), (7, 1), (0, 1)):
        assert len(np.unique(merge_across_weak_borders(*stripes(rows), 0.75))) == regions


def test_weak_borders_join_a_chain_and_strong_ones_do_not():
    merged = merge_across_weak_borders(*stripes(0, 10, 2), 0.75)
    assert len(np.unique(merged)) == 2
    assert merged[0, 0] == merged[0, 7] != merged[0, 8] == merged[0, 15]


def test_the_borders_of_merged_fragments_add_up():
    # 1 above 2 without an edge between them; 3 beside both, behind 9 + 0 of 10 + 2 edge pairs.
    # Alone the border of 2 and 3 is open; with that of 1 it is an edge for 3/4 of its length.
    labels = np.full((12, 8), 3, dtype=np.int32)
    labels[:10, :4], labels[10:, :4] = 1, 2
    cut = np.zeros((12, 8), dtype=bool)
    cut[:9, 4] = True
    assert len(np.unique(merge_across_weak_borders(labels, cut, 0.75))) == 2
    assert len(np.unique(merge_across_weak_borders(labels, cut, 0.76))) == 1


def test_markers_meet_on_the_ridge():
    edges = np.tile(np.array([0, 0.1, 0.2, 0.9, 0.2, 0.1, 0.0]), (3, 1))
    markers = np.zeros((3, 7), dtype=np.int32)
    markers[:, 0], markers[:, 6] = 4, 7
    labels = flood(markers, edges, np.ones((3, 7), dtype=bool))
    assert (labels[:, :3] == 4).all()
    assert (labels[:, 4:] == 7).all()
    assert set(np.unique(labels[:, 3])) <= {4, 7}


def test_the_flood_stays_in_the_mask_and_keeps_what_is_owned():
    mask = np.ones((4, 6), dtype=bool)
    mask[:, 3] = False
    markers = np.zeros((4, 6), dtype=np.int32)
    markers[0, 0] = 1
    labels = flood(markers, np.zeros((4, 6)), mask)
    assert (labels[:, :3] == 1).all()
    assert (labels[:, 3:] == 0).all()  # nothing of it is connected to a marker
    full = np.where(mask, 2, 0).astype(np.int32)
    assert np.array_equal(flood(full, np.ones((4, 6)), mask), full)
