"""Batches: what decides them, and that picture, features and labels stay together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trace_edges.distillation import CONFIGS
from trace_edges.distillation.examples import Example, draw_batch
from trace_edges.distillation.labels import Labels

CELL = 8
SETTINGS = replace(CONFIGS["toy"], crop=32, batch_size=16)


@pytest.fixture
def examples():
    """Two pictures whose red, target and feature all say in which cell they lie."""
    made = []
    for height, width in ((48, 80), (64, 48)):
        grid = np.arange(height // CELL * width // CELL).reshape(height // CELL, width // CELL)
        place = grid.repeat(CELL, 0).repeat(CELL, 1)
        image = np.repeat(place[..., None], 3, axis=2).astype(np.uint8)
        counts = np.ones(place.shape, dtype=bool)
        labels = Labels((place / 255).astype(np.float32), counts)
        features = torch.from_numpy(grid[None].astype(np.float32)).half()
        made.append(Example(image, labels, features))
    return made


def test_picture_labels_and_features_are_of_one_place(examples):
    batch = draw_batch(examples, SETTINGS, CELL, 0, 0)
    assert batch.images.shape == (16, 3, 32, 32)
    shown = (batch.images[:, 0] + 1) * 127.5
    assert torch.allclose(shown, batch.target * 255, atol=1e-3)
    assert torch.allclose(shown[:, ::CELL, ::CELL], batch.features[:, 0], atol=1e-3)


def test_some_crops_are_mirrored_and_some_are_not(examples):
    row = draw_batch(examples, SETTINGS, CELL, 0, 0).features[:, 0, 0]
    forward = row[:, 1] > row[:, 0]
    assert 0 < forward.sum() < 16


def test_the_same_numbers_draw_the_same_batch_and_others_another(examples):
    first, again, other = (
        draw_batch(examples, SETTINGS, CELL, *entropy).target
        for entropy in ((0, 0, 5), (0, 0, 5), (0, 0, 6))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_small_picture_makes_the_crops_small(examples):
    batch = draw_batch(examples, replace(SETTINGS, crop=1000), CELL, 0)
    assert batch.images.shape[-2:] == (48, 48)
