"""Fragments too thin to be an instance belong to the neighbour that they run along."""

import numpy as np
import pytest

from trace_edges.instances import Propagation, panoptic_from_semantic, propagate
from trace_edges.instances.slivers import inscribed_radii, merge_slivers

NO_CUT = np.zeros((40, 60), dtype=bool)


def columns(*ends):
    """Upright regions numbered from 1, each from the end of the one before it to its own."""
    labels = np.zeros(NO_CUT.shape, dtype=np.int32)
    for number, (start, end) in enumerate(zip((0, *ends), ends, strict=False), 1):
        labels[:, start:end] = number
    return labels


def test_the_radius_of_strips_and_of_a_disc():
    assert inscribed_radii(columns(3, 8, 12, 60)).tolist() == [0, 1.5, 2.5, 1.5, 20 - 0.5]
    rows, across = np.ogrid[:41, :41]
    disc = ((rows - 20) ** 2 + (across - 20) ** 2 <= 15**2).astype(np.int32)
    assert inscribed_radii(disc)[1] == pytest.approx(15.5, abs=1)
    assert inscribed_radii(np.zeros((4, 4), np.int32)).tolist() == [0]


def test_a_sliver_goes_to_the_neighbour_with_the_longest_border():
    labels = columns(30, 33, 60)
    labels[:10, :30] = 4  # its border with the sliver is 10 px, that of the lower part 30 px
    merged = merge_slivers(labels, NO_CUT, 2.5)
    assert merged.max() == 3
    assert merged[0, 31] == merged[20, 31]
    assert merged[20, 31] in (merged[20, 10], merged[20, 50])
    assert merged[20, 10] != merged[20, 50]


def test_slivers_that_are_wide_together_are_one():
    merged = merge_slivers(columns(3, 6, 9, 60), NO_CUT, 2.5)
    assert 1 <= merged.max() <= 2
    assert merged[0, 59] == 1


def test_a_fragment_that_is_all_there_is_stays():
    thin = columns(3)
    assert np.array_equal(merge_slivers(thin, NO_CUT, 9), thin)
    assert merge_slivers(columns(3, 6), NO_CUT, 9).max() == 1


def test_a_detector_that_is_off_by_three_pixels_makes_no_instance_of_the_strip():
    semantic = np.full((60, 90), 2)
    semantic[10:50, 10:80] = 1
    edges = np.zeros(semantic.shape, dtype=np.float32)
    edges[10:50, 13] = edges[13, 10:80] = 1  # inside the thing, along two of its sides
    edges[10:50, 45] = 1  # and a border between two things
    things = panoptic_from_semantic(semantic, edges, things=[1])
    assert sum(segment.thing for segment in things.segments) == 2
    plain = Propagation(min_radius=0)
    strips = panoptic_from_semantic(semantic, edges, things=[1], propagation=plain)
    assert sum(segment.thing for segment in strips.segments) > 2


def test_a_small_square_is_no_sliver():
    mask = np.ones((40, 40), dtype=bool)
    edges = np.zeros((40, 40))
    edges[7, :8] = edges[:8, 7] = 1  # a corner of 7 x 7 px
    assert propagate(mask, edges).max() == 2
