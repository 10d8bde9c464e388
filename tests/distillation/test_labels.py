"""Labels: lines that keep their strength and lie where the picture has its contours."""

import numpy as np
import pytest

from trace_edges.distillation.labels import (
    EDGE,
    INTERIOR,
    UNCERTAIN,
    LabelSettings,
    make_labels,
    ridge_target,
    snap_to_contours,
    strong_lines,
    ternary_labels,
)


def line_at(column, strength=0.8, size=(40, 60)):
    lines = np.zeros(size, dtype=np.float32)
    lines[:, column] = strength
    return lines


def step_at(column, size=(40, 60)):
    image = np.full((*size, 3), 50, dtype=np.uint8)
    image[:, column:] = 200
    return image


def test_a_target_has_the_strength_of_its_line_and_falls_as_a_gaussian():
    target = ridge_target(line_at(30), sigma=2.0)
    assert target[20, 30] == pytest.approx(0.8)
    assert target[20, 32] == pytest.approx(0.8 * np.exp(-0.5))
    assert target[20, 27] == pytest.approx(0.8 * np.exp(-9 / 8))


def test_between_two_lines_every_pixel_belongs_to_the_nearer_one():
    target = ridge_target(np.maximum(line_at(20, 0.9), line_at(30, 0.3)), sigma=2.0)
    assert target[5, 24] == pytest.approx(0.9 * np.exp(-2))
    assert target[5, 26] == pytest.approx(0.3 * np.exp(-2))


def test_without_lines_there_is_no_edge():
    assert not ridge_target(np.zeros((8, 8), dtype=np.float32), 1.0).any()


def test_weak_crests_are_no_lines():
    edges = np.full((20, 20), 0.2, dtype=np.float32)
    edges[:, 5], edges[:, 12] = 0.9, 0.21
    ridges = np.zeros((20, 20), dtype=bool)
    ridges[:, [5, 12]] = True
    lines = strong_lines(edges, ridges, weakest=0.3)
    assert (lines[:, 5] == np.float32(0.9)).all()
    assert not np.delete(lines, 5, axis=1).any()


@pytest.mark.parametrize("beside", [-3, 0, 3])
def test_a_line_beside_a_contour_moves_onto_it_with_its_strength(beside):
    moved = snap_to_contours(line_at(30 + beside), step_at(30), reach=4)
    columns = np.nonzero(moved)[1]
    assert len(columns) >= 40
    assert set(columns) <= {29, 30}  # the step lies between the two
    assert moved.max() == np.float32(0.8)


def test_a_line_far_from_any_contour_stays():
    lines = line_at(12)
    assert np.array_equal(snap_to_contours(lines, step_at(40), reach=4), lines)


def test_the_larger_of_two_strengths_stays_where_lines_meet():
    lines = np.maximum(line_at(26, 0.9), line_at(28, 0.3))
    moved = snap_to_contours(lines, step_at(30), reach=4)
    assert set(np.unique(moved)) == {np.float32(0), np.float32(0.9)}


def test_ternary_labels_cut_at_one_sigma_of_the_values_on_the_grid():
    divergence = np.ones((8, 8), dtype=np.float32)
    divergence[:, :2], divergence[:, 6:] = 0.0, 2.0  # mean 1, sigma sqrt(1/2)
    labels = ternary_labels(divergence, (8, 8), logarithm=False)
    assert (labels[:, :2] == INTERIOR).all()
    assert (labels[:, 2:6] == UNCERTAIN).all()
    assert (labels[:, 6:] == EDGE).all()


def test_the_logarithm_lifts_what_is_weak():
    divergence = np.exp(np.linspace(-4, 0, 64, dtype=np.float32)).reshape(8, 8)
    plain, logarithm = (ternary_labels(divergence, (8, 8), flag) for flag in (False, True))
    assert not (plain == INTERIOR).any()  # mean - sigma is below the smallest value
    assert (logarithm == INTERIOR).sum() == (logarithm == EDGE).sum() > 0


def test_uncertain_pixels_of_ternary_labels_do_not_count():
    divergence = np.random.default_rng(0).gamma(2, size=(8, 8)).astype(np.float32)
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    labels = make_labels(divergence, image, LabelSettings("literal"))
    ternary = ternary_labels(divergence, (64, 64), logarithm=False)
    assert np.array_equal(labels.counts, ternary != UNCERTAIN)
    assert np.array_equal(labels.target == 1, ternary == EDGE)


def test_ridge_labels_say_something_everywhere_and_follow_the_picture():
    divergence = np.full((5, 8), 0.1, dtype=np.float32)
    divergence[:, 3] = 3.0  # columns 24 .. 31 of the picture
    labels = make_labels(divergence, step_at(30, (40, 64)), LabelSettings())
    assert labels.counts.all()
    assert labels.target[20].argmax() in (29, 30)


@pytest.mark.parametrize(
    "wrong", [{"rule": "thick"}, {"sigma": 0}, {"half_edge": -1}, {"snap": -1}]
)
def test_settings_that_make_no_label_are_refused(wrong):
    with pytest.raises(ValueError, match=r"is (\"thick\"|0|-1), and should be"):
        LabelSettings(**wrong)
