"""Several views of an image, averaged: at multiples of the resolution, and mirrored."""

import numpy as np
import pytest
import torch

import trace_edges as te
from trace_edges.detector import DetectorSettings
from trace_edges.images import resize_image, to_tensor


@pytest.fixture(scope="module")
def detector():
    return te.EdgeDetector.from_pretrained("trace-pixels")


def picture(height=96, width=160, seed=0):
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.uint8)
    image[20:70, 30:80] = (200, 40, 40)
    image[40:90, 90:150] = (40, 160, 220)
    return (image + rng.integers(0, 30, image.shape)).astype(np.uint8)


def test_one_view_is_the_default(detector):
    plain = detector.values(picture(), DetectorSettings(128))
    views = DetectorSettings(128, (1.0,), mirror=False)
    np.testing.assert_array_equal(detector.values(picture(), views), plain)


def test_the_mean_is_of_the_probabilities_at_the_resolution(detector):
    image = picture(96, 96)
    found = detector.values(image, DetectorSettings(96, (1.0, 2.0)))
    expected = []
    for side in (96, 192):
        with torch.no_grad():
            logits, _ = detector.student(to_tensor(resize_image(image, (side, side)))[None])
        expected.append(logits.sigmoid()[:, None])
    expected[1] = torch.nn.functional.interpolate(
        expected[1], (96, 96), mode="bilinear", antialias=True
    )
    np.testing.assert_allclose(found, torch.stack(expected).mean(0)[0, 0], atol=1e-6)


def test_edges_of_a_mirrored_image_are_mirrored(detector):
    image, views = picture(), DetectorSettings(128, (1.0, 1.5), mirror=True)
    turned = detector.values(np.ascontiguousarray(image[:, ::-1]), views)
    np.testing.assert_allclose(turned[:, ::-1], detector.values(image, views), atol=1e-4)
    single = DetectorSettings(128)  # a network alone does not do this
    turned = detector.values(np.ascontiguousarray(image[:, ::-1]), single)
    assert np.abs(turned[:, ::-1] - detector.values(image, single)).max() > 1e-3


def test_images_of_a_batch_do_not_touch_each_other(detector):
    views = DetectorSettings(128, (0.75, 1.0), mirror=True)
    images = [picture(seed=1), picture(seed=2)]
    together = detector(images, views).edges
    for image, edges in zip(images, together, strict=True):
        np.testing.assert_allclose(detector(image, views).edges[0], edges, atol=1e-5)


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (float("nan"),), (100.0,)])
def test_scales_are_checked(scales):
    with pytest.raises(ValueError, match="scales"):
        DetectorSettings(scales=scales)
