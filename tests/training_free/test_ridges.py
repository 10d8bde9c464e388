"""Positions of samples, and ridges of ridges whose line is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_edges.training_free import ridges as surface
from trace_edges.training_free.ridges import (
    draw_edges,
    fit_surface,
    sample_positions,
    surface_height,
    surface_ridges,
)

SIZE = (96, 128)
CELL = 8
WIDTH = 10.0  # of the ridges, pixels (standard deviation)
LINES = {  # a point (row, column) in pixels, and the direction across the line
    "horizontal": ((41.3, 0), (1, 0)),
    "vertical": ((0, 70.8), (0, 1)),
    "diagonal": ((40.2, 61.7), (np.sqrt(0.5), np.sqrt(0.5))),
    "antidiagonal": ((50.6, 61.7), (np.sqrt(0.5), -np.sqrt(0.5))),
    "oblique": ((50.6, 61.7), (np.cos(0.3), np.sin(0.3))),
}


def distance(line, rows, columns):
    """Signed distance in pixels from the line."""
    (row, column), (down, right) = LINES[line]
    return (rows - row) * down + (columns - column) * right


def sampled(function, subcell):
    """A function of pixels on the grid of SIZE, refined."""
    samples = [side // CELL * subcell for side in SIZE]
    rows, columns = (sample_positions(n, subcell) * s for n, s in zip(samples, SIZE, strict=True))
    return function(rows[:, None], columns[None]).astype(np.float32)


def ridge(line, subcell):
    return sampled(lambda r, c: np.exp(-(distance(line, r, c) ** 2) / (2 * WIDTH**2)), subcell)


def pixels():
    return np.arange(SIZE[0])[:, None] + 0.5, np.arange(SIZE[1])[None] + 0.5


def inside():
    """Pixels between the outermost samples, where the surface is not level."""
    mask = np.zeros(SIZE, bool)
    mask[CELL // 2 : -CELL // 2, CELL // 2 : -CELL // 2] = True
    return mask


def test_without_refinement_samples_are_the_middles_of_cells():
    np.testing.assert_allclose(sample_positions(4, 1), [0.125, 0.375, 0.625, 0.875])


def test_two_views_of_two_cells_as_worked_by_hand():
    # Samples at 0.5, 1, 1.5 and 2 cells of an image that is 2.5 cells long.
    np.testing.assert_allclose(sample_positions(4, 2), [0.2, 0.4, 0.6, 0.8])


@pytest.mark.parametrize("subcell", [1, 2, 4, 8])
@pytest.mark.parametrize("cells", [2, 5])
def test_positions_are_even_and_symmetric(subcell, cells):
    positions = sample_positions(cells * subcell, subcell)
    gaps = np.diff(positions)
    assert gaps[0] > 0
    np.testing.assert_allclose(gaps, gaps[0])
    np.testing.assert_allclose(positions + positions[::-1], 1)
    np.testing.assert_allclose(positions[0] / gaps[0], subcell / 2)  # half a cell from the border


@pytest.mark.parametrize("subcell", [1, 2])
@pytest.mark.parametrize("line", LINES)
def test_the_crest_of_a_ridge_is_its_line(line, subcell):
    values = ridge(line, subcell)
    spline = fit_surface(values, SIZE, subcell)
    height, ridges = surface_height(spline, SIZE), surface_ridges(spline, SIZE)
    rows, columns = pixels()
    away = distance(line, rows, columns)
    found = ridges & inside() & (height > 0.8)  # not its feet
    # The ridge passes within half a pixel, in both directions, of every pixel that is marked.
    assert np.abs(away[found]).max() <= 0.5 / np.abs(LINES[line][1]).max() + 0.15
    # No gap: every pixel within a quarter of a pixel of the line is marked.
    assert found[inside() & (np.abs(away) < 0.25)].all()
    # A line, not a band: one or two pixels across.
    assert min(found.sum(axis=0).max(), found.sum(axis=1).max()) <= 2


@pytest.mark.parametrize("line", LINES)
def test_the_pixels_of_a_parabola_are_those_that_its_line_crosses_by_half(line):
    """A cubic spline has a parabola exactly, so its line is known to the last digit.

    A pixel is marked where the nearest point of the line is up to half a pixel away, in rows and in
    columns.
    """
    values = sampled(lambda r, c: 1 - (distance(line, r, c) / 100) ** 2, 1)
    ridges = surface_ridges(fit_surface(values.astype(np.float64), SIZE), SIZE)
    away = np.abs(distance(line, *pixels())) * np.abs(LINES[line][1]).max()
    assert (ridges | (away > 0.49))[inside()].all()
    assert not (ridges & (away > 0.51))[inside()].any()


@pytest.mark.parametrize("subcell", [1, 2])
def test_a_smooth_surface_is_interpolated(subcell):
    def smooth(rows, columns):
        return 0.5 + 0.3 * np.sin(rows / 20) * np.cos(columns / 25)

    spline = fit_surface(sampled(smooth, subcell), SIZE, subcell)
    error = np.abs(surface_height(spline, SIZE) - smooth(*pixels()))
    assert error[inside()].max() < 5e-3


def test_the_surface_is_level_beyond_the_outermost_samples():
    values = np.random.default_rng(0).random((12, 16))
    height = surface_height(fit_surface(values, SIZE), SIZE)
    for first in range(CELL // 2):
        assert np.array_equal(height[first], height[0])
        assert np.array_equal(height[:, -1 - first], height[:, -1])


@pytest.mark.parametrize("budget", [500, 3000])
def test_strips_change_nothing(monkeypatch, budget):
    spline = fit_surface(ridge("oblique", 1), SIZE)
    height, ridges = surface_height(spline, SIZE), surface_ridges(spline, SIZE)
    monkeypatch.setattr(surface, "_STRIP_PIXELS", budget)
    assert len(surface.strips(SIZE)) >= 4
    assert np.array_equal(surface_height(spline, SIZE), height)
    assert np.array_equal(surface_ridges(spline, SIZE), ridges)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_constant_surface_stays_constant(value):
    spline = fit_surface(np.full((12, 16), value, np.float32), SIZE)
    np.testing.assert_allclose(surface_height(spline, SIZE), value, atol=1e-6)


def test_zero_has_no_ridge():
    assert not surface_ridges(fit_surface(np.zeros((12, 16), np.float32), SIZE), SIZE).any()


def test_the_bottom_of_a_pit_is_no_ridge():
    def depth(rows, columns):
        return 1 - np.exp(-((rows - 41) ** 2 + (columns - 70) ** 2) / (2 * WIDTH**2))

    ridges = surface_ridges(fit_surface(sampled(depth, 2), SIZE, 2), SIZE)
    rows, columns = pixels()
    assert not ridges[np.hypot(rows - 41, columns - 70) < 0.8 * WIDTH].any()


def test_a_saddle_is_a_ridge_where_it_falls_more_steeply_than_it_rises():
    """A crest may sag along its length, but what climbs more than its sides fall is none."""

    def saddle(fall, climb):
        def surface(rows, columns):
            down, right = (rows - 48.5) / 100, (columns - 64.5) / 100
            return 0.5 - fall * down**2 + climb * right**2

        return surface_ridges(fit_surface(sampled(surface, 1), SIZE), SIZE)[inside()]

    crest = np.zeros(SIZE, bool)
    crest[48] = True  # its middle is at 48.5 px
    assert np.array_equal(saddle(2, 1), crest[inside()])
    assert not saddle(1, 2).any()


@pytest.mark.parametrize("grid", [(2, 2), (2, 9), (3, 2), (4, 3)])
def test_tiny_grids_are_interpolated_by_lower_degrees(grid):
    values = np.random.default_rng(0).random(grid).astype(np.float32)
    size = grid[0] * 5, grid[1] * 5  # odd cells: the middle of a cell is that of a pixel
    spline = fit_surface(values, size)
    height = surface_height(spline, size)
    np.testing.assert_allclose(height[2::5, 2::5], values, atol=1e-6)
    ridges = surface_ridges(spline, size)
    assert ridges.shape == size
    assert ridges.dtype == bool


def test_a_plane_through_two_by_two_samples():
    height = surface_height(fit_surface(np.array([[0.0, 1.0], [2.0, 3.0]]), (20, 20)), (20, 20))
    middle = np.arange(5, 15)  # between the samples at 5 and 15 px
    expected = (2 * (middle[:, None] + 0.5 - 5) + (middle[None] + 0.5 - 5)) / 10
    np.testing.assert_allclose(height[5:15, 5:15], expected, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(4, 40),
    st.integers(4, 40),
    st.sampled_from([1, 2, 4]),
    st.integers(16, 300),
    st.integers(16, 300),
)
def test_what_is_shrunk_to_the_grid_comes_back_in_its_place(rows, columns, subcell, height, width):
    """A slope over the picture, sampled where the cells lie, is the same slope at every pixel."""

    def slope(y, x):
        return 2.0 * y - 3.0 * x + 5.0

    y, x = (sample_positions(n * subcell, subcell) for n in (rows, columns))
    surface = fit_surface(slope(y[:, None], x[None]), (height, width), subcell)
    pixel_y, pixel_x = ((np.arange(n) + 0.5) / n for n in (height, width))
    inside = np.ix_((pixel_y >= y[0]) & (pixel_y <= y[-1]), (pixel_x >= x[0]) & (pixel_x <= x[-1]))
    expected = slope(pixel_y[:, None], pixel_x[None])
    height_map = surface_height(surface, (height, width))
    np.testing.assert_allclose(height_map[inside], expected[inside], atol=1e-5)


def test_a_strip_holds_no_more_than_its_share(monkeypatch):
    monkeypatch.setattr(surface, "_STRIP_PIXELS", 1000)
    for size, rows in (((1000, 10), 100), ((30, 1000), 1), ((7, 9), 7)):
        strips = surface.strips(size)
        assert max(len(strip) for strip in strips) == rows
        np.testing.assert_array_equal(np.concatenate(strips), np.arange(size[0]) + 0.5)


def drawn(raw, subcell=1, half_edge=1.0):
    """Edges and ridges of divergence on a grid of cells of 5 px, so that a cell has a middle."""
    return draw_edges(raw, (raw.shape[0] * 5, raw.shape[1] * 5), subcell, half_edge)


def test_half_edge_is_the_divergence_that_is_drawn_as_one_half():
    raw = np.random.default_rng(0).random((6, 8)) * 4
    raw[2, 3], raw[4, 5] = 1.5, 4.5
    edges, _ = drawn(raw, half_edge=1.5)
    middles = edges[2::5, 2::5]
    assert middles[[2, 4], [3, 5]] == pytest.approx([1 / 2, 3 / 4])
    assert (middles.ravel().argsort() == raw.ravel().argsort()).all()


@pytest.mark.parametrize("scale", [1e-2, 1.0, 40.0])
def test_a_maps_own_half_edge_makes_strength_independent_of_its_scale(scale):
    """So that a backbone of flat attention and one of sharp attention draw alike."""
    raw = np.random.default_rng(0).random((6, 8))
    raw *= 2 / raw.mean()
    expected, _ = drawn(raw, half_edge=0.57 * 2)
    found, _ = drawn(scale * raw, half_edge=None)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    raw[:] = 2
    np.testing.assert_allclose(drawn(scale * raw, half_edge=None)[0], 1 / 1.57, atol=1e-6)


def test_rows_that_differ_by_rounding_alone_have_no_edges():
    noise = 1e-7 * np.random.default_rng(0).random((6, 8))
    for raw in (noise, np.zeros((6, 8))):
        edges, _ = drawn(raw, half_edge=None)
        assert 0 <= edges.min() <= edges.max() < 2e-3


@pytest.mark.parametrize("subcell", [1, 2])
def test_level_divergence_is_drawn_level_up_to_the_frame(subcell):
    edges, _ = drawn(np.full((8, 12), 3.0), subcell)
    np.testing.assert_allclose(edges, 0.75, atol=1e-6)


def test_views_that_disagree_are_evened_out_and_one_view_is_left_as_it_is():
    """Every other column is of another view, which sees twice as strong edges."""
    raw = np.tile([1.0, 2.0], (8, 6))
    ripples = [np.ptp(drawn(raw, subcell)[0][2, 20:-20]) for subcell in (1, 2)]
    assert ripples[0] >= 2 / 3 - 1 / 2 - 1e-6
    assert 0.01 < ripples[1] < 0.04


def test_edges_do_not_overshoot():
    raw = np.zeros((8, 12))
    raw[:, 6:] = 1e6  # a step from 0 to 1, of which a cubic spline makes a wave
    strength = raw / (raw + 1)
    height = surface_height(fit_surface(strength, (40, 60)), (40, 60))
    assert height.min() < -0.01
    assert height.max() > 1.01
    edges, _ = drawn(raw)
    assert (edges.min(), edges.max()) == (0, 1)


def test_ridges_are_drawn_where_the_edges_are_highest():
    raw = np.exp(-((np.arange(12) - 5.0) ** 2) / 4) * np.ones((8, 1))
    edges, ridges = drawn(raw)
    assert edges.shape == ridges.shape == (40, 60)
    assert (edges.argmax(axis=1) == 27).all()  # the middle of cell 5
    assert np.flatnonzero(ridges[20] & (edges[20] > 0.1)).tolist() == [27]
