"""Shifted views are exact windows of one picture, and go back where they were seen."""

import numpy as np
import pytest
import torch

from trace_edges.images import resize_image, to_tensor
from trace_edges.training_free.ridges import sample_positions
from trace_edges.training_free.shifts import interleave, shifted_views, shifts


def test_the_unshifted_view_comes_first():
    assert shifts(1) == [(0, 0)]
    assert shifts(2) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("subcell", [1, 2, 4])
def test_views_are_windows_of_one_larger_picture(subcell):
    pictures = list(np.random.default_rng(0).integers(0, 256, (2, 50, 70, 3), np.uint8))
    step = 8 // subcell
    margin = step * (subcell - 1)
    larger = [to_tensor(resize_image(p, (32 + margin, 48 + margin))) for p in pictures]
    views = dict(shifted_views(pictures, (32, 48), 8, subcell))
    assert len(views) == subcell**2
    for (row, column), images in views.items():
        assert images.shape == (2, 3, 32, 48)
        for image, whole in zip(images, larger, strict=True):
            top, left = row * step, column * step
            assert torch.equal(image, whole[:, top : top + 32, left : left + 48])


def test_a_picture_of_the_size_of_the_model_is_not_resampled():
    picture = np.random.default_rng(0).integers(0, 256, (36, 52, 3), np.uint8)
    views = dict(shifted_views([picture], (32, 48), 8, 2))  # 36 = 32 + 4
    assert torch.equal(views[0, 0][0], to_tensor(picture[:32, :48]))
    assert torch.equal(views[1, 0][0], to_tensor(picture[4:, :48]))
    assert torch.equal(views[0, 1][0], to_tensor(picture[:32, 4:]))


@pytest.mark.parametrize("subcell", [3, 5, 16, 0, -2])
def test_a_shift_of_no_whole_pixels_is_refused(subcell):
    picture = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match=f"subcell={subcell} .* 8 px; use one of 1, 2, 4, 8"):
        next(shifted_views([picture], (32, 32), 8, subcell))


@pytest.mark.parametrize("subcell", [1, 2, 3])
def test_interleaved_answers_are_in_the_order_of_their_places(subcell):
    """Every view answers with the place of each of its cells, in k-ths of a cell."""
    rows, columns = np.mgrid[:4, :5].astype(np.float32) * subcell
    places = {
        (row, column): (rows + row) * 100 + columns + column for row, column in shifts(subcell)
    }
    rows, columns = np.mgrid[: 4 * subcell, : 5 * subcell]
    assert np.array_equal(interleave(places, subcell), rows * 100 + columns)


@pytest.mark.parametrize("subcell", [1, 2, 4])
def test_a_ramp_seen_by_cells_lies_where_the_samples_are_said_to_be(subcell):
    """The mean of a ramp over a cell is its value in the middle of the cell.

    So the grid of means says where each sample was taken, and it must be what the surface
    believes. This ties the geometry of the views to that of `sample_positions`.
    """
    margin = 8 // subcell * (subcell - 1)
    height, width = 32 + margin, 48 + margin
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    picture = np.stack([rows, columns, rows], axis=-1)  # its value is the place of the pixel
    for channel, (cells, length) in enumerate([(4, height), (6, width)]):
        answers = {}
        for shift, images in shifted_views([picture], (32, 48), 8, subcell):
            values = (images[0, channel] + 1) * 127.5 + 0.5  # place of the middle of the pixel, px
            answers[shift] = values.unflatten(0, (4, 8)).unflatten(2, (6, 8)).mean((1, 3)).numpy()
        fine = interleave(answers, subcell)
        profile = fine[:, 0] if channel == 0 else fine[0]
        expected = sample_positions(cells * subcell, subcell) * length
        np.testing.assert_allclose(profile, expected, atol=1e-3)
