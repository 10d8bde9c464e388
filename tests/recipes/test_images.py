"""Training data: the seed and the number decide a batch, and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from recipes.trace_mini.images import (
    Batches,
    Composites,
    cover,
    random_crop,
    render_ahead,
    store_photographs,
)


@pytest.fixture
def composites(settings, sprites):
    return Composites(sprites[0], settings.scene, settings.seed)


@pytest.fixture
def red():
    """Three photographs that no composite looks like."""
    squares = np.zeros((3, 36, 36, 3), dtype=np.uint8)
    squares[..., 0] = 255
    return squares


def is_red(batch):
    return ((batch[:, 0] == 1) & (batch[:, 1] == -1)).all(dim=(1, 2))


def test_a_batch_is_decided_by_seed_number_and_stage(composites, settings):
    batches = Batches(composites, None, settings, 2, 0, 1)
    batch = batches[7]
    assert batch.shape == (2, 3, 32, 32)
    assert -1 <= batch.min() < batch.max() <= 1
    assert torch.equal(batch, batches[7])  # after others, and again
    others = [
        batches[8],
        batches.of(2)[7],
        Batches(composites, None, replace(settings, seed=1), 2, 0, 1)[7],
    ]
    assert not any(torch.equal(batch, other) for other in others)


def test_workers_and_starting_late_change_nothing(composites, settings):
    batches = Batches(composites, None, settings, 1, 0, 1)
    alone = list(batches.loader(2, 4, 0))
    assert torch.equal(alone[0], batches[2])
    assert torch.equal(alone[1], batches[3])
    for one, other in zip(alone, batches.loader(2, 4, 1), strict=True):
        assert torch.equal(one, other)


def test_what_is_rendered_ahead_is_what_would_be_rendered(tmp_path, composites, settings, sprites):
    ahead = render_ahead(tmp_path / "a.raw", sprites[0], settings)
    assert ahead.shape == (4, 36, 36, 3)
    assert all((ahead[number] == composites[number]).all() for number in range(4))
    before = (tmp_path / "a.raw").stat().st_mtime_ns
    render_ahead(tmp_path / "a.raw", sprites[0], settings)
    assert (tmp_path / "a.raw").stat().st_mtime_ns == before


def test_photographs_come_in_from_their_step_on_and_by_their_share(composites, settings, red):
    batches = Batches(composites, red, replace(settings, photographs_share=0.5), 40, 1, 1)
    assert not is_red(batches[0]).any()
    assert 10 < int(is_red(batches[1]).sum()) < 30
    none = Batches(composites, red, replace(settings, photographs_share=0.0), 4, 0, 1)
    assert not is_red(none[3]).any()


def test_crops_are_of_the_image_and_half_are_mirrored():
    image = np.zeros((36, 36, 3), dtype=np.uint8)
    image[..., 0] = np.arange(36)  # brighter to the right
    crops = [random_crop(image, 32, np.random.default_rng(seed)) for seed in range(60)]
    assert all(crop.shape == (32, 32, 3) for crop in crops)
    mirrored = sum(int(crop[0, 0, 0]) > int(crop[0, -1, 0]) for crop in crops)
    assert 15 < mirrored < 45


@pytest.mark.parametrize(("size", "count"), [((40, 40), 1), ((40, 60), 2), ((200, 20), 3)])
def test_a_long_image_gives_squares_that_reach_both_ends(size, count):
    image = np.zeros((*size, 3), dtype=np.uint8)
    image[:4, :4] = image[-4:, -4:] = 255
    squares = list(cover(image, 20))
    assert len(squares) == count
    assert all(square.shape == (20, 20, 3) for square in squares)
    assert squares[0][0, 0].max() > 200
    assert squares[-1][-1, -1].max() > 200


def test_a_photograph_that_cannot_be_read_is_named_and_the_rest_is_kept(tmp_path, settings):
    Image.new("RGB", (50, 40), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    problems = []
    stored = store_photographs(
        tmp_path / "p.raw", [tmp_path / "b.png", tmp_path / "a.png"], settings,
        on_problem=problems.append,
    )  # fmt: skip
    assert (stored[..., 0] == 255).all()
    assert len(problems) == 1
    assert "b.png" in problems[0]
