"""What strengths are worth: counted by hand, and on lines whose truth is drawn at random."""

import numpy as np
import pytest

from trace_edges.metrics import evaluate_edges
from trace_edges.metrics.calibration import calibrate
from trace_edges.metrics.counts import EdgeCounts
from trace_edges.metrics.protocol import EdgeProtocol

THREE = EdgeProtocol(thresholds=3, max_distance=0.0)  # 1/4, 2/4, 3/4


def counts(matched, predicted):
    nothing = np.zeros(len(matched), dtype=np.int64)
    return EdgeCounts(np.array(matched), np.array(predicted), nothing, nothing)


def test_a_point_is_the_share_between_one_threshold_and_the_next():
    # 10 pixels below 1/2, of which 2 are matched; 20 below 3/4, 10 matched; 10 above, 8 matched
    found = calibrate(counts([20, 18, 8], [40, 30, 10]), THREE)
    assert found.strengths == (0.375, 0.625, 0.875)
    assert found.precision == pytest.approx((0.2, 0.5, 0.8))


def test_neighbours_whose_shares_fall_are_pooled_by_their_pixels():
    # 10 pixels with 8 matched, then 30 with 12: together 20 of 40, at (10 * .375 + 30 * .625) / 40
    found = calibrate(counts([28, 20, 8], [48, 38, 8]), THREE)
    assert found.strengths == pytest.approx((0.5625, 0.875))
    assert found.precision == pytest.approx((0.5, 1.0))


def test_strengths_that_do_not_occur_have_no_point():
    found = calibrate(counts([5, 5, 5], [10, 10, 10]), THREE)
    assert (found.strengths, found.precision) == ((0.875,), (0.5,))


def test_more_matches_at_a_higher_threshold_are_no_negative_share():
    """A thinned line may lie nearer to the truth than the band that it is thinned from."""
    found = calibrate(counts([4, 5, 5], [10, 8, 8]), THREE)
    assert found.precision[0] == 0


def test_no_edge_has_no_calibration():
    assert calibrate(counts([0, 0, 0], [0, 0, 0]), THREE) is None
    nothing = np.zeros((8, 8), dtype=np.float32)
    assert evaluate_edges([nothing], [nothing > 0]).calibration is None


def drawn_at_random(seed):
    """Lone pixels, of which a share of strength ** 2 is true."""
    rng = np.random.default_rng(seed)
    lone = np.zeros((500, 500), dtype=bool)
    lone[::2, ::2] = True
    strength = np.where(lone, rng.uniform(0.05, 1, lone.shape), 0)
    return strength, lone & (rng.random(lone.shape) < strength**2)


def test_calibrated_strengths_are_the_share_that_is_true_on_other_images():
    protocol = EdgeProtocol(thresholds=19, max_distance=0.0)
    seen, true = drawn_at_random(0)
    calibration = evaluate_edges([seen], [true], protocol=protocol).calibration
    assert calibration(np.array([0.3, 0.5, 0.8])) == pytest.approx([0.09, 0.25, 0.64], abs=0.03)
    other, its_truth = drawn_at_random(1)
    calibrated = calibration(other)
    for low in np.arange(0.1, 0.9, 0.1):
        such = (calibrated >= low) & (calibrated < low + 0.1)
        assert its_truth[such].mean() == pytest.approx(calibrated[such].mean(), abs=0.03)
