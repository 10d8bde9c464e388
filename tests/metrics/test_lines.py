"""Thinning against scikit-image, and non-maximum suppression where the ridges are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.morphology import thin as thin_skimage

from trace_edges.metrics.lines import (
    SUPPRESSIONS,
    suppress_as_the_toolbox,
    suppress_non_maxima,
    thin,
    thin_numba,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95), st.integers(1, 40), st.integers(1, 40))
def test_random_maps_keep_the_pixels_that_scikit_image_keeps(seed, density, height, width):
    edges = np.random.default_rng(seed).random((height, width)) < density
    assert np.array_equal(thin_numba(edges), thin_skimage(edges))


def test_blobs_that_take_many_passes():
    y, x = np.mgrid[:120, :160]
    edges = np.hypot(y - 60, x - 60) < 50
    edges |= (np.abs(y - 2 * x / 3) < 9) | (x > 130)
    assert np.array_equal(thin_numba(edges), thin_skimage(edges))


@pytest.mark.parametrize("value", [False, True])
def test_uniform_maps(value):
    edges = np.full((9, 12), value)
    assert np.array_equal(thin(edges), thin_skimage(edges))


def test_the_map_itself_is_left_alone():
    edges = np.ones((8, 8), dtype=bool)
    thin(edges)
    assert edges.all()


def test_without_numba_scikit_image_does_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    edges = np.random.default_rng(0).random((20, 20)) < 0.6
    assert np.array_equal(thin(edges), thin_skimage(edges))


@pytest.mark.parametrize("angle", np.deg2rad([0, 20, 45, 70, 90, 135]))
def test_a_straight_ridge_becomes_its_ridge(angle):
    """What is left lies within a pixel of the line, and the line has no gap of two pixels."""
    rows, columns = np.mgrid[:60, :60] - 30.0
    distance = rows * np.cos(angle) + columns * np.sin(angle)
    along = columns * np.cos(angle) - rows * np.sin(angle)
    kept = suppress_non_maxima(np.exp(-((distance / 4) ** 2))) > 0.2
    inside = np.hypot(rows, columns) < 24
    assert np.abs(distance[kept & inside]).max() <= 1
    positions = np.sort(along[kept & inside])
    assert positions[0] < -22
    assert positions[-1] > 22
    assert np.diff(positions).max() < 2


def test_values_on_the_crest_stay_what_they_were():
    strength = np.zeros((20, 20), dtype=np.float32)
    strength[10] = np.linspace(0.1, 0.9, 20)
    out = suppress_non_maxima(strength)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, strength)


def test_nothing_comes_from_nothing():
    assert not suppress_non_maxima(np.zeros((9, 9))).any()


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("angle", np.deg2rad([0, 20, 45, 70, 90, 135, 160]))
def test_what_is_left_is_within_half_a_pixel_of_the_line_and_its_feet_are_nothing(angle, offset):
    """At d px from the line exp(-d^2 / 16) exceeds its neighbour at 1 - d up to d = 1/2; the margin
    and the interpolation allow 1/8 px more."""
    rows, columns = np.mgrid[:60, :70]
    distance = (rows - 30) * np.cos(angle) + (columns - 35) * np.sin(angle) - offset
    kept = suppress_non_maxima(np.exp(-((distance / 4) ** 2))) > 0
    inside, distance = np.s_[8:-8, 8:-8], np.abs(distance)  # the frame bends the smoothed map
    assert kept[inside][distance[inside] <= 0.5 + 1e-9].all()
    assert not kept[inside][distance[inside] >= 0.65].any()


def test_a_turned_or_mirrored_map_has_turned_or_mirrored_maxima():
    strength = np.random.default_rng(0).random((40, 50))
    straight = suppress_non_maxima(strength)
    assert 0.05 < np.mean(straight > 0) < 0.5
    np.testing.assert_array_equal(suppress_non_maxima(strength.T), straight.T)
    np.testing.assert_array_equal(suppress_non_maxima(strength[::-1]), straight[::-1])


@pytest.mark.parametrize("rise", [0.005, 0.02])
def test_a_plateau_stays_unless_a_neighbour_is_more_than_one_percent_higher(rise):
    """Columns that climb by half a percent each are a plateau, by two percent a slope."""
    strength = np.tile(0.3 * (1 + rise) ** np.arange(20.0), (15, 1))
    inside = suppress_non_maxima(strength)[:, 6:14]
    assert (inside > 0).all() if rise < 0.01 else not inside.any()
    level = np.full((7, 9), 0.5)
    np.testing.assert_array_equal(suppress_non_maxima(level), level)


def test_near_the_frame_the_values_are_repeated():
    """A ridge leaves the image at 45 degrees, at column 20 of the top row. Pixels right of it have
    their higher neighbour beyond the frame: it is what lies in the top row, nearer to the ridge."""
    rows, columns = np.mgrid[:30, :40]
    distance = (rows + columns - 20) * np.sqrt(0.5)
    kept = suppress_non_maxima(np.exp(-((distance / 4) ** 2)))[0] > 0
    assert kept[20]
    assert not kept[30:].any()


@pytest.mark.parametrize("angle", np.deg2rad([20, 70, 110, 160]))
def test_a_broad_crest_that_climbs_is_crossed_at_a_right_angle(angle):
    """It climbs so steeply that a few degrees off the right angle lie pixels more than the margin
    higher on one side of the crest, and lower on the other."""
    rows, columns = np.mgrid[:80, :80] - 40.0
    distance = rows * np.cos(angle) + columns * np.sin(angle)
    along = columns * np.cos(angle) - rows * np.sin(angle)
    kept = suppress_non_maxima((0.5 + along / 80) * np.exp(-((distance / 12) ** 2))) > 0
    inside, distance = np.hypot(rows, columns) < 30, np.abs(distance)
    assert kept[inside & (distance < 0.3)].all()
    assert not kept[inside & (distance > 4)].any()


def ridge(size=(40, 60), column=30, width=2.0):
    """Upright, as strong as a Gaussian across it."""
    across = np.exp(-0.5 * ((np.arange(size[1]) - column) / width) ** 2)
    return np.tile(across, (size[0], 1)).astype(np.float32)


def test_the_toolbox_keeps_the_crest_and_what_it_smoothed_it_to():
    lines = suppress_as_the_toolbox(ridge())
    assert np.flatnonzero(lines[20]).tolist() == [30]
    beside = ridge()[0, 29]  # triangle of radius 1: a quarter, a half, a quarter
    assert lines[20, 30] == pytest.approx(0.5 + beside / 2, abs=1e-6)


def test_the_toolbox_lets_lines_fade_along_the_frame():
    lines = suppress_as_the_toolbox(ridge())[:, 30]
    full = lines[20]
    np.testing.assert_allclose(lines[:7] / full, [0, 0.2, 0.4, 0.6, 0.8, 1, 1], atol=1e-6)
    np.testing.assert_allclose(lines[::-1], lines, atol=1e-6)


def test_the_toolbox_follows_a_slanted_ridge():
    rows, columns = np.mgrid[:60, :60]
    for slope in (1, -1):
        away = (columns - 30 - slope * (rows - 30)) / 2**0.5
        lines = suppress_as_the_toolbox(np.exp(-0.5 * (away / 2) ** 2))
        assert (np.abs(away[lines > 0]) < 1).all()
        assert (lines > 0).sum() >= 45  # of 50 between the frames


def toolbox_pixel_by_pixel(strength):
    """What the toolbox's description says, one pixel after the other."""
    height, width = strength.shape

    def mirrored(place, side):  # the frame's own pixels are repeated
        place = place % (2 * side)
        return min(place, 2 * side - 1 - place)

    def smoothed(values, radius):
        for axis, side in ((0, height), (1, width)):
            weights = {
                k: (radius + 1 - abs(k)) / (radius + 1) ** 2 for k in range(-radius, radius + 1)
            }
            columns = np.moveaxis(values, axis, 0)
            made = [
                sum(weight * columns[mirrored(i + k, side)] for k, weight in weights.items())
                for i in range(side)
            ]
            values = np.moveaxis(np.array(made), 0, axis)
        return values

    def slope(values, axis):  # half of the difference of both neighbours; at the frame, of one
        values = np.moveaxis(values, axis, 0)
        last = len(values) - 1
        made = [
            (values[min(i + 1, last)] - values[max(i - 1, 0)]) / (2 if 0 < i < last else 1)
            for i in range(last + 1)
        ]
        return np.moveaxis(np.array(made), 0, axis)

    smooth = smoothed(strength, 1)
    wide = smoothed(smooth, 4)
    xx, xy = slope(slope(wide, 1), 1), slope(slope(wide, 0), 1)
    yy = slope(slope(wide, 0), 0)
    kept = np.zeros_like(smooth)
    for y in range(height):
        for x in range(width):
            angle = np.arctan(yy[y, x] * np.sign(-xy[y, x]) / (xx[y, x] + 1e-5)) % np.pi
            beside = []
            for sign in (1, -1):
                row = np.clip(y + sign * np.sin(angle), 0, height - 1)
                column = np.clip(x + sign * np.cos(angle), 0, width - 1)
                top, left = min(int(row), height - 2), min(int(column), width - 2)
                down, right = row - top, column - left
                beside.append(
                    (1 - down) * ((1 - right) * smooth[top, left] + right * smooth[top, left + 1])
                    + down
                    * ((1 - right) * smooth[top + 1, left] + right * smooth[top + 1, left + 1])
                )
            if 1.01 * smooth[y, x] >= max(beside):
                near = [min(place, side - 1 - place) for place, side in ((y, height), (x, width))]
                kept[y, x] = smooth[y, x] * np.prod([min(1, one / 5) for one in near])
    return kept


def test_the_toolbox_is_as_its_description_pixel_by_pixel():
    rng = np.random.default_rng(3)
    strength = gaussian_filter(rng.random((26, 31)), 1.5)
    strength = (strength - strength.min()) / np.ptp(strength)
    expected = toolbox_pixel_by_pixel(strength)
    assert 0.1 < (expected > 0).mean() < 0.6  # it keeps some, and not all
    np.testing.assert_allclose(suppress_as_the_toolbox(strength), expected, atol=1e-9)


def test_an_empty_map_stays_empty_by_every_suppression():
    for suppress in SUPPRESSIONS.values():
        assert not suppress(np.zeros((12, 9), dtype=np.float32)).any()
        assert suppress(np.zeros((3, 2), dtype=np.float32)).shape == (3, 2)
