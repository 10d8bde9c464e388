import sys

import numpy as np
import pytest

from trace_edges.extras import MissingExtraError
from trace_edges.instances.grids import (
    attention_affinity,
    centred_affinity,
    feature_affinity,
    instances_from_grid,
)


def test_affinity_of_features_is_their_cosine():
    rows = np.array([[[3.0, 4.0], [4.0, -3.0], [0.0, 0.0], [6.0, 8.0]]])
    expected = [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    np.testing.assert_allclose(feature_affinity(rows), expected, atol=1e-6)


def test_affinity_of_attention_is_what_two_rows_share():
    """Rows (1, 0), (1/2, 1/2), (0, 1): the second shares sqrt(1/2) with either."""
    attention = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]], dtype=np.float32)
    half = np.sqrt(0.5)
    expected = [[1, half, 0], [half, 1, half], [0, half, 1]]
    np.testing.assert_allclose(attention_affinity(attention), expected, atol=1e-6)


def test_centring_takes_the_common_part_off_the_features():
    rows = np.random.default_rng(1).standard_normal((1, 30, 5)) + 2
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    expected = feature_affinity(rows - rows.mean(axis=1))
    np.testing.assert_allclose(centred_affinity(feature_affinity(rows)), expected, atol=1e-4)


def test_a_grid_mask_is_enlarged_about_its_place():
    mask = np.zeros((1, 4, 6), dtype=bool)
    mask[0, 1:3, 2:4] = True
    found = instances_from_grid(mask, (40, 60), settings={"source": "maskcut"})
    assert found.settings == {"source": "maskcut"}
    np.testing.assert_array_equal(found.scores, [1])
    np.testing.assert_array_equal(found.boxes, [[20, 10, 40, 30]])
    assert found.masks[0, 20, 30]
    assert 350 <= found.areas[0] < 400  # the corners are rounded


def test_holes_are_filled_and_nothing_stays_nothing():
    ring = np.ones((1, 5, 5), dtype=bool)
    ring[0, 2, 2] = False
    assert instances_from_grid(ring, (50, 50)).masks.all()
    none = instances_from_grid(np.zeros((0, 5, 5), dtype=bool), (20, 30))
    assert none.masks.shape == (0, 20, 30)


def test_an_image_needs_the_field(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    with pytest.raises(MissingExtraError, match=r'pydensecrf2 .* "trace-edges\[crf\]"'):
        instances_from_grid(
            np.ones((1, 2, 2), dtype=bool), (8, 8), np.zeros((8, 8, 3), dtype=np.uint8)
        )


def test_outlines_snap_to_colours():
    """A white square that ends at column 26, a mask that ends at 30."""
    pytest.importorskip("pydensecrf.densecrf")
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[8:32, 10:26] = 255
    mask = np.zeros((1, 40, 60), dtype=bool)
    mask[0, 8:32, 10:30] = True
    found = instances_from_grid(mask, (40, 60), image)
    np.testing.assert_array_equal(found.masks[0], image[..., 0] > 0)
