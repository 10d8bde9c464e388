"""Pictures whose pixels are known."""

import numpy as np
import pytest
from PIL import Image

from trace_edges.drawing.visualize import (
    LINE_COLOUR,
    contact_sheet,
    curve_image,
    grey_image,
    heat_image,
    overlay,
)


def test_grey_runs_from_black_to_white():
    grey = np.asarray(grey_image(np.array([[0.0, 0.5, 1.0]])))
    assert grey.tolist() == [[0, 128, 255]]


def test_overlay_leaves_pixels_without_an_edge_alone():
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    before = picture.copy()
    thin = np.zeros((30, 40), np.float32)
    thin[10, 5:30], thin[20, 5:30] = 1.0, 0.5
    drawn, empty = (np.asarray(overlay(picture, lines)) for lines in (thin, 0 * thin))
    assert np.array_equal(drawn[thin == 0], empty[thin == 0])
    assert (drawn[10, 5:30] == LINE_COLOUR).all()
    partly = empty[20, 5:30] + 0.75 * (np.array(LINE_COLOUR) - empty[20, 5:30])  # (0.5 - 0.2) / 0.4
    assert np.abs(drawn[20, 5:30] - partly).max() <= 1
    factor = empty.max() / picture.max()  # the picture below is the picture, if darker
    assert np.abs(empty - factor * picture).max() <= 1
    assert np.array_equal(picture, before)


def test_lines_are_widened_on_large_pictures():
    thin = np.zeros((1200, 1300), np.float32)
    thin[600] = 1
    drawn = np.asarray(overlay(np.zeros((1200, 1300, 3), np.uint8), thin, (9, 9, 9)))
    assert np.flatnonzero(drawn[:, 0, 0]).tolist() == [599, 600, 601]


def test_heat_runs_from_black_over_red_and_yellow_to_white():
    heat = np.asarray(heat_image(np.array([[0.0, 1.0, 2.0, 3.0]])))[0]
    assert heat.tolist() == [[0, 0, 0], [255, 0, 0], [255, 255, 0], [255, 255, 255]]
    assert not np.asarray(heat_image(np.zeros((3, 4)))).any()


def line_columns(image):
    """Columns of the mark: all the rest of the drawing is grey."""
    coloured = np.ptp(np.asarray(image).astype(int), axis=2) > 50
    return np.flatnonzero(coloured.sum(axis=0) > coloured.shape[0] // 2)


def test_the_marked_step_of_a_curve_moves_with_it():
    steps, values = [99, 499, 999], np.array([1.0, 3.0, 2.0])
    columns = [line_columns(curve_image(steps, values, at, (300, 200))) for at in steps]
    for found in columns:
        assert 1 <= len(found) <= 3
    first, middle, last = (found.mean() for found in columns)
    assert (middle - first) / (last - first) == pytest.approx(400 / 900, abs=0.02)


@pytest.mark.parametrize("count", [0, 1])
def test_curves_of_hardly_a_step_are_drawn(count):
    image = curve_image([99][:count], np.array([1.0])[:count], 99, (200, 120))
    assert image.size == (200, 120)
    assert len(line_columns(image))


def test_a_contact_sheet_has_room_for_its_longest_row():
    red, wide = Image.new("RGB", (50, 50), "red"), Image.new("L", (80, 20), 128)
    sheet = contact_sheet([[("a", red), ("b", wide)], [("c", red)]], tile=40, gap=4)
    assert sheet.size == (2 * 44 + 4, 2 * (40 + 18 + 4) + 4)
    pixels = np.asarray(sheet)
    assert (pixels[22:62, 4:44] == (255, 0, 0)).all()  # the first tile
    assert (pixels[22:32, 48:88] == 128).all()  # 80 x 20 fitted into 40 x 10
    assert (pixels[32:62, 48:88] == 255).all()
    assert (pixels[84:124, 4:44] == (255, 0, 0)).all()
    assert (pixels[66:, 48:] == 255).all()  # the second row is shorter
