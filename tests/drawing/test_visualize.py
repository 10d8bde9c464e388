"""Pictures whose pixels are known."""

import numpy as np
import pytest
from PIL import Image

from trace_edges.drawing.visualize import contact_sheet, curve_image, grey_image, heat_image


def test_grey_runs_from_black_to_white():
    grey = np.asarray(grey_image(np.array([[0.0, 0.5, 1.0]])))
    assert grey.tolist() == [[0, 128, 255]]


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
