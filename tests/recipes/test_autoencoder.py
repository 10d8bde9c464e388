"""The loss of the autoencoder has the value that its formula gives by hand."""

import pytest
import torch

from recipes.trace_mini.autoencoder import autoencoder_loss


def test_an_image_that_is_off_by_a_constant_has_no_gradient_error():
    images = torch.rand(2, 3, 5, 7)
    assert autoencoder_loss(images, images).item() == 0
    assert autoencoder_loss(images + 0.5, images).item() == pytest.approx(0.5 + 2 * 0.25)


def test_a_wrong_slope_counts_by_its_steepness():
    ramp = torch.arange(4.0).expand(1, 3, 2, 4)  # across: every difference is 1; down: 0
    expected = 1.5 + 2 * 3.5 + 0.7 * 1
    assert autoencoder_loss(ramp, torch.zeros(1, 3, 2, 4)).item() == pytest.approx(expected)
