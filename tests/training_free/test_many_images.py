"""Many images in one pass, or one after the other."""

from dataclasses import replace

import numpy as np
import pytest

from trace_edges.images import ImageError

from .small import FAST, assert_equal, picture


def test_many_images_share_passes_of_bounded_size(pipe, monkeypatch):
    """Nine images in batches of at most four; whatever the batch, each is what it is alone."""
    pictures = [picture(seed=n) for n in range(9)]
    sizes, encode = [], pipe.backbone.encode

    def counted(images):
        sizes.append(len(images))
        return encode(images)

    monkeypatch.setattr(pipe.backbone, "encode", counted)
    settings = replace(FAST, timestep=0)
    by_itself = pipe(pictures, settings)
    assert sizes == [4, 4, 1]
    sizes.clear()
    singly = pipe(pictures, settings, batch_size=1)
    assert sizes == [1] * 9
    assert_equal(by_itself, singly, tolerance=1e-4)
    assert len(pipe(np.stack(pictures), settings, batch_size=5)) == 9  # a batch as one array
    assert sizes == [1] * 9 + [5, 4]
    with pytest.raises(ValueError, match="batch_size must be 1 or more, not 0"):
        pipe(pictures, settings, batch_size=0)


def test_a_batch_is_its_images_one_by_one(pipe):
    pictures = [picture(seed=1), picture(seed=2)]
    both = pipe(pictures, FAST)
    assert len(both) == 2
    for index, one in enumerate(pictures):
        assert_equal(both[index], pipe(one, FAST), tolerance=1e-4)
    assert np.abs(both.edges[0] - both.edges[1]).max() > 0.1  # they are not one image


def test_each_yields_pictures_of_all_sizes_in_order(pipe):
    sizes = [(40, 56), (40, 57), (56, 40), (40, 56)]  # the first two look alike to the model
    pictures = [picture(*size, seed=n) for n, size in enumerate(sizes)]
    for batch_size in (1, 2):
        results = list(pipe.each(iter(pictures), FAST, batch_size=batch_size))
        assert [out.edges.shape for out in results] == [(1, *size) for size in sizes]
        for out, one in zip(results, pictures, strict=True):
            assert_equal(out, pipe(one, FAST), tolerance=1e-4)


def test_each_reads_an_image_when_its_turn_comes(pipe, tmp_path):
    outputs = pipe.each([picture(), tmp_path / "lost.png"], FAST)
    assert next(outputs).edges.shape == (1, 40, 56)
    with pytest.raises(ImageError, match=r"lost\.png: there is no such file"):
        next(outputs)


def test_several_sizes_in_one_array_are_refused(pipe):
    with pytest.raises(ValueError, match=r"have 2 sizes .* iterate over pipe\.each") as caught:
        pipe([picture(40, 56), picture(40, 48)], FAST)
    assert "\n" not in str(caught.value)


def test_batches_do_not_change_what_a_coarser_grid_finds(pipe):
    """Pictures of one size to the model may differ in shape, and still share the coarse size."""
    pictures = [picture(96, 131, seed=1), picture(96, 136, seed=2)]
    settings = replace(FAST, resolution=96, emergence_resolution=56)
    batched = list(pipe.each(pictures, settings, batch_size=2))
    for one, result in zip(pictures, batched, strict=True):
        assert_equal(result, pipe(one, settings), tolerance=1e-4)
