import numpy as np
import pytest

from trace_edges.instances import Attachment, attach_fragments


def scene(first=40, gap=10, second=10, height=20):
    """A large fragment left of a gap, a smaller one right of it."""
    fragments = np.zeros((height, first + gap + second + 5), dtype=np.int32)
    fragments[:, :first] = 1
    fragments[:, first + gap : first + gap + second] = 2
    return fragments


def owners(fragments, occluders, **how):
    return attach_fragments(fragments, occluders, Attachment(**how)).tolist()


def test_what_is_behind_a_thing_belongs_together():
    fragments = scene()
    assert owners(fragments, fragments == 0) == [0, 1, 1]
    assert owners(fragments, np.zeros(fragments.shape, dtype=bool)) == [0, 1, 2]
    assert owners(fragments, None) == [0, 1, 2]


def test_most_of_the_gap_must_be_a_thing():
    fragments = scene()
    rows = np.arange(20)[:, None]
    assert owners(fragments, (fragments == 0) & (rows < 5), behind=0.2) == [0, 1, 1]
    assert owners(fragments, (fragments == 0) & (rows < 5)) == [0, 1, 2]


def test_size_and_distance_are_relative_to_the_larger_one():
    # 10 of 40 columns: a quarter. 11 px from rim to rim, sqrt(800) = 28.3: 0.389 of it.
    fragments = scene()
    everything = np.ones(fragments.shape, dtype=bool)
    assert owners(fragments, everything, size=0.25, distance=0.39) == [0, 1, 1]
    assert owners(fragments, everything, size=0.24, distance=0.39) == [0, 1, 2]
    assert owners(fragments, everything, size=0.25, distance=0.38) == [0, 1, 2]


def test_fragments_that_touch_are_two():
    fragments = scene(gap=0)
    assert owners(fragments, np.ones(fragments.shape, dtype=bool)) == [0, 1, 2]


def test_one_touching_pixel_is_enough_to_be_two():
    """All but one row of the smaller fragment lies behind a thing, and would be a part."""
    fragments = scene()
    assert owners(fragments, fragments == 0) == [0, 1, 1]
    fragments[0, 40:50] = 2  # an arm from the smaller one to the larger one
    assert owners(fragments, fragments == 0) == [0, 1, 2]


def test_the_nearest_of_two_and_a_chain():
    fragments = np.zeros((20, 100), dtype=np.int32)
    fragments[:, :50], fragments[:, 55:70], fragments[:, 75:79] = 1, 2, 3
    everything = np.ones(fragments.shape, dtype=bool)
    assert owners(fragments, everything) == [0, 1, 1, 1]  # 3 to 2, which belongs to 1
    assert owners(fragments, everything, size=0.29) == [0, 1, 2, 2]


def test_numbers_say_nothing_about_the_order_in_a_chain():
    fragments = np.zeros((20, 100), dtype=np.int32)
    fragments[:, :50], fragments[:, 55:70], fragments[:, 75:79] = 3, 2, 1
    everything = np.ones(fragments.shape, dtype=bool)
    assert owners(fragments, everything) == [0, 3, 3, 3]  # 1 to 2, which belongs to 3


def test_where_all_are_small_the_largest_has_them_all():
    fragments = np.zeros((9, 40), dtype=np.int32)
    fragments[2:4, 2:4], fragments[2:5, 20], fragments[4:7, 30:33] = 1, 2, 3
    assert owners(fragments, None) == [0, 3, 3, 3]


def test_small_fragments_go_to_the_nearest_large_one():
    fragments = np.zeros((20, 100), dtype=np.int32)
    fragments[:, :10], fragments[:, 90:] = 1, 2
    fragments[3:6, 70:73], fragments[8:10, 20] = 3, 4  # 9 and 2 px
    assert owners(fragments, None) == [0, 1, 2, 2, 1]
    assert owners(fragments, None, min_area=3) == [0, 1, 2, 3, 1]
    assert owners(fragments, None, min_area=10**6) == [0, 1, 1, 1, 1]  # the largest is left


@pytest.mark.parametrize("turns", range(4))
def test_every_side_of_a_fragment_is_near(turns):
    """Four px below the small one the middle of a side begins, five px above it another one."""
    fragments = np.zeros((20, 60), dtype=np.int32)
    fragments[10:], fragments[:2], fragments[6, 30] = 1, 2, 3
    assert owners(np.rot90(fragments, turns), None) == [0, 1, 2, 1]


@pytest.mark.parametrize("turns", range(4))
def test_what_lies_in_the_corner_of_an_angle_is_not_in_it(turns):
    """The box around the first one holds the small one, but the second one is nearer."""
    fragments = np.zeros((30, 40), dtype=np.int32)
    fragments[:, :3] = fragments[27:, :25] = 1
    fragments[:10, 30:] = 2
    fragments[5, 20] = 3
    assert owners(np.rot90(fragments, turns), None) == [0, 1, 2, 2]


def test_the_nearest_pixel_of_a_small_fragment_decides():
    """Its foot is 3 px from the first one, and its far end nearer to the second one."""
    fragments = np.zeros((20, 40), dtype=np.int32)
    fragments[8:13, :10], fragments[8:13, 26:] = 1, 2
    fragments[10, 12:21] = fragments[:10, 20] = 3
    assert owners(fragments, None) == [0, 1, 2, 1]
    assert owners(fragments[:, ::-1], None) == [0, 1, 2, 1]


def test_a_fragment_with_a_short_rim_has_one_line():
    """Of the rim of 2 x 2 px a quarter is one: the upper line, and only that is covered."""
    fragments = np.zeros((20, 60), dtype=np.int32)
    fragments[:, :40], fragments[8:10, 50:52] = 1, 2
    covered = (fragments == 0) & (np.arange(20)[:, None] == 8)
    assert owners(fragments, covered, min_area=0) == [0, 1, 1]


@pytest.mark.parametrize(("behind", "owner"), [(0.4, 1), (0.6, 2)])
@pytest.mark.parametrize("row", [9, 10])
def test_a_slanting_line_is_in_the_nearest_row(row, behind, owner):
    """The two shortest lines lead from row 10 to row 9, and about half of each lies in either."""
    fragments = np.zeros((20, 60), dtype=np.int32)
    fragments[:10, :40], fragments[10, 50:58] = 1, 2
    covered = (fragments == 0) & (np.arange(20)[:, None] == row)
    assert owners(fragments, covered, min_area=0, behind=behind) == [0, 1, owner]


def test_nothing_to_attach():
    assert owners(np.zeros((4, 4), dtype=np.int32), None) == [0]
    assert owners(np.ones((4, 4), dtype=np.int32), np.zeros((4, 4), dtype=bool)) == [0, 1]


def test_wrong_settings():
    with pytest.raises(ValueError, match="distance must be 0 or more"):
        Attachment(distance=-1)


def test_one_pixel_between_them_is_a_gap():
    fragments = scene(gap=1)
    assert owners(fragments, fragments == 0) == [0, 1, 1]


def test_the_limits_belong_to_what_is_attached():
    """400 px with a root of 20 px, and 100 px at 10 px from rim to rim."""
    fragments = scene(first=20, gap=9, second=5)
    everything = np.ones(fragments.shape, dtype=bool)
    assert owners(fragments, everything, size=0.25, distance=0.5) == [0, 1, 1]
    assert owners(fragments, everything, size=0.25, distance=0.499) == [0, 1, 2]
    assert owners(fragments, everything, size=0.249, distance=0.5) == [0, 1, 2]


@pytest.mark.parametrize(("rows", "owner"), [(7, 1), (6, 2)])
def test_the_shortest_quarter_of_the_lines_decides(rows, owner):
    """The rim of the smaller one has 56 px; of its 20 equal shortest lines the first 14 count, and
    half of them must be covered."""
    fragments = scene()
    covered = (fragments == 0) & (np.arange(20)[:, None] < rows)
    assert owners(fragments, covered, behind=0.5) == [0, 1, owner]
