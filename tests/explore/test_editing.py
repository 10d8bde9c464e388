"""Regions that a person merges, splits and deletes; three rooms whose right answers are known."""

import numpy as np
import pytest

from trace_edges.explore.editing import Regions
from trace_edges.instances.hierarchy import build_hierarchy

# Four rooms side by side; the walls between them have the strengths 0.2, 0.8 and 0.4.
WALLS = {10: 0.2, 20: 0.8, 30: 0.4}
ROOMS = np.zeros((12, 41), dtype=np.float32)
for wall, height in WALLS.items():
    ROOMS[:, wall] = height
TREE = build_hierarchy(ROOMS, area_power=0.0)
PLACES = [5, 15, 25, 35]  # a column within each room


def together(regions):
    """Of each room, which region it is of; the first one is 0. None: it was deleted."""
    numbers = [regions.at_pixel(6, column) for column in PLACES]
    names = {number: place for place, number in enumerate(dict.fromkeys(numbers))}
    return [None if number < 0 else names[number] for number in numbers]


@pytest.mark.parametrize(
    ("strength", "expected"),
    [(0.0, [0, 1, 2, 3]), (0.3, [0, 0, 1, 2]), (0.5, [0, 0, 1, 1]), (0.9, [0, 0, 0, 0])],
)
def test_boundaries_up_to_the_strength_are_removed(strength, expected):
    regions = Regions.at(TREE, strength)
    assert together(regions) == expected
    assert len(regions) == len(set(expected))


def test_any_two_regions_become_one():
    regions = Regions.at(TREE, 0.0)
    merged = regions.merge(regions.at_pixel(6, 5), regions.at_pixel(6, 35))  # they do not touch
    assert together(merged) == [0, 1, 2, 0]
    assert len(merged) == 3


def test_a_region_is_split_at_its_strongest_boundary():
    whole = Regions.at(TREE, 1.0)
    halves = whole.split(whole.at_pixel(6, 5))
    assert together(halves) == [0, 0, 1, 1]
    assert together(halves.split(halves.at_pixel(6, 25))) == [0, 0, 1, 2]


def test_what_was_merged_by_hand_is_split_at_the_strongest_boundary_too():
    regions = Regions.at(TREE, 0.0)
    first = regions.at_pixel(6, 5)
    merged = regions.merge(first, regions.at_pixel(6, 15)).merge(first, regions.at_pixel(6, 35))
    assert together(merged) == [0, 0, 1, 0]
    assert together(merged.split(first)) == [0, 0, 1, 2]


def test_a_split_region_can_be_merged_and_split_again():
    whole = Regions.at(TREE, 1.0)
    halves = whole.split(whole.at_pixel(6, 5))
    again = halves.merge(halves.at_pixel(6, 35), halves.at_pixel(6, 5))
    assert len(again) == 1
    assert together(again.split(again.at_pixel(6, 5))) == [0, 0, 1, 1]


def test_a_leaf_cannot_be_split():
    regions = Regions.at(TREE, 0.0)
    with pytest.raises(ValueError, match="no boundary"):
        regions.split(regions.at_pixel(6, 5))


def test_what_is_deleted_is_in_no_mask_and_comes_back():
    regions = Regions.at(TREE, 0.5)
    left = regions.remove(regions.at_pixel(6, 5))
    assert together(left) == [None, None, 1, 1]
    assert left.at_pixel(6, 5) == -1
    assert len(left.masks) == 1
    assert not left.masks.masks[0, :, :10].any()
    assert left.masks.masks[0, :, 31:].all()
    assert together(left.undone()) == [0, 0, 1, 1]
    assert left.undone().undone() is regions


def test_labels_run_from_one():
    regions = Regions.at(TREE, 0.5)
    removed = regions.split(regions.at_pixel(6, 5)).remove(regions.at_pixel(6, 35))
    assert sorted(np.unique(removed.labels)) == [0, 1, 2]
    assert removed.labels.shape == ROOMS.shape
