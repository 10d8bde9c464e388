"""Scores of regions against segments, by hand."""

import numpy as np
import pytest

from benchmarks.masks.regions import (
    AR,
    COVERING,
    FOUND,
    OF_COVERING,
    OF_THINGS,
    REGIONS,
    STRENGTHS,
    THINGS,
    _score,
)
from trace_edges.instances.hierarchy import build_hierarchy


def test_a_thing_and_its_surroundings():
    """A wall divides the image in halves; the thing is the left half, less 4 of its 22 rows."""
    edges = np.zeros((22, 41), dtype=np.float32)
    edges[:, 20] = 0.4
    tree = build_hierarchy(edges, area_power=0)
    left = tree.labels == tree.labels[0, 0]
    ids = np.where(left, 5, 9)
    ids[:4][left[:4]] = 9
    scores = dict(
        zip(STRENGTHS.tolist(), _score(tree, ids, [5, 9], np.array([True, False])), strict=True)
    )
    size, half = np.count_nonzero(ids == 5), np.count_nonzero(~left)
    share = size / np.count_nonzero(left)
    assert 0.8 < share < 0.85
    fine, coarse = scores[0.1], scores[0.5]
    assert (fine[REGIONS], coarse[REGIONS]) == (2, 1)
    assert fine[OF_THINGS] == fine[FOUND] == 1
    assert fine[THINGS] == pytest.approx(share)
    assert fine[AR] == pytest.approx(0.7)  # .50 to .80 of the ten levels
    assert fine[COVERING] == pytest.approx(share * size + half)
    assert fine[OF_COVERING] == ids.size
    assert coarse[FOUND] == 0
    assert coarse[THINGS] == pytest.approx(size / ids.size)
