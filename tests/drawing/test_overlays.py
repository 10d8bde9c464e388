import numpy as np
import pytest

from trace_edges.drawing.overlays import edge_image, overlay, segment_colours, shown_strength
from trace_edges.results import InstanceMasks, PanopticMap, Segment

GREY = np.full((40, 60, 3), 128, dtype=np.uint8)


def masks(*boxes):
    """Rectangles of (top, bottom, left, right) in 40 x 60 px."""
    drawn = np.zeros((len(boxes), 40, 60), dtype=bool)
    for mask, (top, bottom, left, right) in zip(drawn, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return InstanceMasks(drawn, np.ones(len(boxes), dtype=np.float32))


def grid(side):
    """A label map of side x side touching cells of 4 x 4 px."""
    cells = np.arange(1, side**2 + 1, dtype=np.int32).reshape(side, side)
    return np.kron(cells, np.ones((4, 4), dtype=np.int32))


def distance(one, other):
    return np.linalg.norm(np.subtract(one, other))


def test_every_instance_has_a_colour_of_its_own_and_neighbours_differ_clearly():
    side = 16
    labels = grid(side)
    colours = segment_colours(labels, range(1, side**2 + 1))
    assert len(set(colours.values())) == side**2
    for a, b in ((labels[:, :-4], labels[:, 4:]), (labels[:-4], labels[4:])):
        pairs = np.unique(np.stack([a.ravel(), b.ravel()], axis=1), axis=0).tolist()
        assert min(distance(colours[one], colours[other]) for one, other in pairs) >= 100


def test_colours_do_not_depend_on_what_comes_later():
    labels = grid(4)
    first = segment_colours(labels, range(1, 5))
    everything = segment_colours(labels, range(1, 17))
    assert {number: everything[number] for number in first} == first
    assert segment_colours(labels, range(1, 17)) == everything


def test_neighbours_across_a_gap_differ_too():
    given = segment_colours(np.array([[1]], dtype=np.int32), [1])
    near = np.array([[1, 0, 0, 2]], dtype=np.int32)
    far = np.array([[1, 0, 0, 0, 2]], dtype=np.int32)
    almost = {1: tuple(min(255, channel + 3) for channel in given[1])}
    assert distance(segment_colours(near, [2], almost)[2], almost[1]) >= 150
    assert segment_colours(far, [2], almost)[2] == given[1]


def test_instances_are_tinted_and_outlined_and_the_rest_is_left():
    instances = masks((5, 15, 10, 20), (5, 15, 20, 30))
    before = GREY.copy()
    drawn = np.asarray(instances.overlay(GREY))
    colours = segment_colours(instances.label_map, [1, 2])
    for number, left in ((1, 10), (2, 20)):
        box = drawn[5:15, left : left + 10]
        assert (box[[0, -1]] == colours[number]).all()
        assert (box[:, [0, -1]] == colours[number]).all()
        mixed = 0.55 * 128 + 0.45 * np.array(colours[number])
        assert np.abs(box[1:-1, 1:-1] - mixed).max() <= 0.5
    outside = instances.label_map == 0
    assert (drawn[outside] == 128).all()
    assert np.array_equal(GREY, before)


def test_the_smaller_lies_on_top_and_holes_have_contours():
    stack = masks((0, 40, 0, 60), (10, 20, 10, 20)).masks.copy()
    stack[0, 25:35, 30:40] = False
    instances = InstanceMasks(stack)
    drawn = np.asarray(instances.overlay(GREY))
    colours = segment_colours(instances.label_map, [1, 2])
    assert (drawn[10, 10:20] == colours[2]).all()
    assert (drawn[24, 30:40] == colours[1]).all()
    assert (drawn[25:35, 30:40] == 128).all()
    # The picture's border is no contour.
    assert (drawn[0, 0] == drawn[1, 1]).all()
    assert (drawn[0, 0] != colours[1]).any()


def test_contours_grow_with_the_picture():
    mask = np.zeros((1, 800, 900), dtype=bool)
    mask[0, 100:200, 100:200] = True
    instances = InstanceMasks(mask, np.ones(1, dtype=np.float32))
    row = np.asarray(instances.overlay(np.zeros((800, 900, 3), np.uint8)))[150]
    colour = segment_colours(instances.label_map, [1])[1]
    assert np.flatnonzero((row == colour).all(axis=1)).tolist() == [100, 101, 198, 199]


def test_stuff_keeps_the_colour_of_its_class_and_void_that_of_the_picture():
    left = np.zeros((40, 60), dtype=np.int32)
    left[:, 0:20], left[:, 20:40] = 1, 2
    right = np.roll(left, 20, axis=1)
    drawn = []
    for ids, thing in ((left, 3), (right, 8)):
        segments = (Segment(1, 7, False), Segment(2, thing, True))
        drawn.append(np.asarray(PanopticMap(ids, segments).overlay(GREY)))
    first, second = drawn
    assert (first[20, 10] == second[20, 30]).all()
    assert (first[20, 10] != first[20, 30]).any()
    assert (first[:, 40:] == 128).all()
    assert (second[:, :20] == 128).all()


def test_nothing_is_drawn_of_nothing():
    assert np.array_equal(np.asarray(masks().overlay(GREY)), GREY)
    empty = PanopticMap(np.zeros((40, 60), dtype=np.int32), ())
    assert np.array_equal(np.asarray(empty.overlay(GREY)), GREY)


def test_sizes_must_agree():
    with pytest.raises(ValueError, match=r"the image is \(39, 60\) and its masks \(40, 60\)"):
        masks((0, 5, 0, 5)).overlay(GREY[1:])


YELLOW = (255, 240, 120)  # the strongest lines


def test_strength_is_stretched_to_what_two_percent_of_the_ridges_exceed():
    thin = np.zeros((100, 100), np.float32)
    thin[:50] = np.linspace(0.001, 0.5, 5000, dtype=np.float32).reshape(50, 100)
    shown = shown_strength(thin)
    assert (shown[50:] == 0).all()
    assert (shown[thin >= 0.4902] == 1).all()
    assert (shown[thin < 0.4898 / 5] == 0).all()
    # Half way from a fifth of the strongest to the strongest.
    assert (
        abs(shown[np.abs(thin - 0.294).argmin() // 100, np.abs(thin - 0.294).argmin() % 100] - 0.5)
        < 0.01
    )


def test_an_image_without_edges_stays_empty():
    noise = np.random.default_rng(0).uniform(0, 0.04, (60, 80)).astype(np.float32)
    assert not shown_strength(noise).any()
    assert not np.asarray(edge_image(noise)).any()


def test_overlay_leaves_pixels_without_an_edge_alone():
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    before = picture.copy()
    thin = np.zeros((30, 40), np.float32)
    thin[10, 5:30], thin[20, 5:30] = 1.0, 0.6
    drawn, empty = (np.asarray(overlay(picture, lines)) for lines in (thin, 0 * thin))
    far = np.ones_like(thin, bool)  # more than a pixel away from the lines
    far[8:13], far[18:23] = False, False
    assert np.array_equal(drawn[far], empty[far])
    assert (drawn[10, 5:30] == YELLOW).all()
    assert (drawn[20, 5:30] != YELLOW).any(axis=1).all()  # half as strong: another colour, opaque
    assert np.array_equal(drawn[20, 5:30], np.tile(drawn[20, 5], (25, 1)))
    # One pixel beside a line it is blended: an antialiased border.
    for row in (9, 11):
        assert (drawn[row, 6:29] != empty[row, 6:29]).any(axis=1).all()
        assert (drawn[row, 6:29] != YELLOW).any(axis=1).all()
    assert np.array_equal(picture, before)
    assert empty.mean() == pytest.approx(
        0.45 * picture.mean(), abs=1
    )  # below lies the image, dimmed


def test_lines_are_widened_on_large_pictures():
    thin = np.zeros((1440, 1500), np.float32)
    thin[600] = 1  # drawn at a third of the size, where it is 1.8 px wide: 5 px here, or so
    drawn = np.asarray(edge_image(thin))
    assert drawn.shape == thin.shape
    rows = np.flatnonzero(drawn[:, 700] > 127)
    assert 600 in rows
    assert 4 <= len(rows) <= 7
    assert (np.diff(rows) == 1).all()


def test_lines_reach_the_border_of_sizes_that_are_no_multiple():
    thin = np.zeros((1439, 1501), np.float32)
    thin[:, -1] = thin[-1] = 1
    drawn = np.asarray(edge_image(thin))
    assert drawn.shape == thin.shape
    assert (drawn[:, -1] > 200).all()
    assert (drawn[-1] > 200).all()


def test_edges_and_image_must_be_of_one_size():
    with pytest.raises(ValueError, match=r"the image is \(40, 60\) and its edges \(40, 61\)"):
        overlay(GREY, np.zeros((40, 61), np.float32))


def test_numbers_of_segments_may_be_far_apart():
    ids = np.zeros((40, 60), np.int32)
    ids[5:15, 10:20], ids[20:30, 30:40] = 7, 16_000_000
    segments = (Segment(7, 1, True), Segment(16_000_000, 2, True))
    drawn = np.asarray(PanopticMap(ids, segments).overlay(GREY))
    for box in (drawn[5:15, 10:20], drawn[20:30, 30:40]):
        assert (box[0] == box[0, 0]).all()
        assert (box[0, 0] != box[5, 5]).any()
