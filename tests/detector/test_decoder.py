"""G_phi: from the grid and the picture to every pixel."""

import pytest
import torch

from trace_edges.detector.decoder import EdgeDecoder


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return EdgeDecoder(channels=6, width=16, cell=4).eval()


FEATURES = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(1))
IMAGES = torch.randn(2, 3, 20, 28, generator=torch.Generator().manual_seed(2))


def test_logits_are_at_the_size_of_the_images(decoder):
    assert decoder(FEATURES, IMAGES).shape == (2, 20, 28)


@torch.no_grad()
def test_both_the_grid_and_the_pixels_are_read(decoder):
    before = decoder(FEATURES, IMAGES)
    features, images = FEATURES.clone(), IMAGES.clone()
    features[0, :, 2, 3] += 3
    images[1, :, 4, 4] += 3
    by_features, by_pixels = decoder(features, IMAGES), decoder(FEATURES, images)
    assert not torch.allclose(by_features[0, 8:12, 12:16], before[0, 8:12, 12:16], atol=1e-4)
    assert not torch.allclose(by_pixels[1, 4, 4], before[1, 4, 4], atol=1e-4)
    assert torch.allclose(by_features[1], before[1], atol=1e-5)  # the other image is left alone


@torch.no_grad()
def test_the_scale_of_a_channel_does_not_matter(decoder):
    scaled = FEATURES * torch.tensor([1, 10, 100, 1, 1, 1]).reshape(1, 6, 1, 1)
    assert torch.allclose(decoder(scaled, IMAGES), decoder(FEATURES, IMAGES), atol=1e-2)


def test_a_cell_that_cannot_be_doubled_to_is_refused():
    with pytest.raises(ValueError, match="6 px is not a power of two"):
        EdgeDecoder(channels=6, cell=6)
