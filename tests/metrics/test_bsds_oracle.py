"""ODS and OIS against the original benchmark's matcher, where pyEdgeEval is installed."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from trace_edges.metrics import counts as module
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.edges import evaluate_edges
from trace_edges.metrics.protocol import EdgeProtocol

FEW = EdgeProtocol(thresholds=7)


def image(seed, shape=(80, 120)):
    """A graded prediction of twelve cells, moved a little, with false lines."""
    rng = np.random.default_rng(seed)
    place = np.mgrid[: shape[0], : shape[1]]

    def cells(n, bend):
        centres = rng.random((n, 2)) * shape
        squared = (((place + bend)[None] - centres[:, :, None, None]) ** 2).sum(1)
        return squared.argmin(0)

    state = rng.bit_generator.state
    truth = boundaries_from_labels(cells(12, np.zeros_like(place)))
    rng.bit_generator.state = state
    bend = gaussian_filter(rng.standard_normal((2, *shape)), (0, 6, 6)) * 25
    rng.bit_generator.state = state
    moved = boundaries_from_labels(cells(12, bend))
    false = boundaries_from_labels(cells(8, bend))
    strength = moved * rng.uniform(0.3, 1, shape) + false * rng.uniform(0, 0.6, shape)
    return np.clip(strength, 0, 1), truth


def test_the_original_matcher_gives_the_same_scores(monkeypatch):
    """Its outlier edges are random, so its counts vary a little from run to run."""
    oracle = pytest.importorskip("pyEdgeEval._lib").correspond_pixels
    predictions, truths = zip(*map(image, range(4)), strict=True)
    ours = evaluate_edges(predictions, truths, protocol=FEW)

    def match_as_bsds(prediction, truth, radius):
        share = radius / float(np.hypot(*prediction.shape))
        matched, found, _, _ = oracle(prediction, truth, share)
        return matched > 0, found > 0

    monkeypatch.setattr(module, "match_pixels", match_as_bsds)
    theirs = evaluate_edges(predictions, truths, protocol=FEW)
    assert 0.3 < theirs.ods < 0.95
    assert ours.ods == pytest.approx(theirs.ods, abs=1e-3)
    assert ours.ois == pytest.approx(theirs.ois, abs=1e-3)
    assert ours.ap == pytest.approx(theirs.ap, abs=2e-3)
