"""Crops of any place, scale and light."""

import numpy as np
import pytest

from trace_edges.distillation.labels import Labels
from trace_edges.distillation.varying import change_light, draw_crop


@pytest.fixture
def photograph():
    """A bright square on dark ground, 0.5 on its border, and nothing said in the left quarter."""
    image = np.full((120, 160, 3), 30, np.uint8)
    image[40:80, 60:110] = 220
    target = np.zeros((120, 160), np.float32)
    target[40:80, 60:110] = 0.5
    target[43:77, 63:107] = 0
    counts = np.ones((120, 160), bool)
    counts[:, :40] = False
    return image, Labels(target, counts)


@pytest.mark.parametrize("size", [32, 120])
def test_crops_have_one_size_whatever_their_scale(photograph, size):
    rng = np.random.default_rng(0)
    sides = set()
    for _ in range(20):
        image, labels = draw_crop(*photograph, size, rng)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert labels.target.shape == labels.counts.shape == (size, size)
        assert labels.counts.dtype == bool
        sides.add(int((image[..., 0] > 120).sum()))
    assert len(sides) > 5


def test_labels_stay_where_the_image_changes(photograph):
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(20):
        image, labels = draw_crop(*photograph, 96, rng)
        steep = np.hypot(*np.gradient(image[..., 0].astype(float))) > 60
        seen += steep.sum()
        near = np.pad(labels.target, 2)
        near = np.max([near[r : r + 96, c : c + 96] for r in range(5) for c in range(5)], axis=0)
        assert near[steep].min(initial=1) > 0.2
    assert seen > 500


def test_light_changes_values_and_moves_nothing(photograph):
    image, _ = photograph
    rng = np.random.default_rng(2)
    for _ in range(10):
        lit = change_light(image, rng)
        assert lit.shape == image.shape
        assert lit.dtype == np.uint8
        inside, ground = lit[50:70, 70:100].mean(), lit[:30].mean()
        assert inside > ground + 40
    assert not np.array_equal(change_light(image, rng), image)
