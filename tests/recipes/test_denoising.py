"""Noise and losses of the denoiser have the values that their formulas give by hand."""

import pytest
import torch
from diffusers.training_utils import compute_snr

from recipes.trace_mini.denoising import denoising_errors, make_scheduler, min_snr_weight, noised


def test_steps_with_little_noise_count_less():
    alphas = torch.tensor([0.5, 5 / 6, 10 / 11, 0.99])  # SNR 1, 5, 10, 99
    assert min_snr_weight(alphas, 5).tolist() == pytest.approx([1, 1, 0.5, 5 / 99], rel=1e-4)


def test_the_weights_are_those_of_diffusers_signal_to_noise_ratio():
    scheduler = make_scheduler()
    snr = compute_snr(scheduler, torch.arange(1000))
    expected = torch.minimum(snr, torch.tensor(5.0)) / snr
    torch.testing.assert_close(min_snr_weight(scheduler.alphas_cumprod, 5), expected, rtol=1e-3,
                               atol=1e-6)  # fmt: skip


def test_every_latent_is_noised_to_its_own_step_as_diffusers_does_it():
    scheduler = make_scheduler()
    latents, noise = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2)
    timesteps = torch.tensor([0, 400, 999])
    ours = noised(latents, noise, timesteps, scheduler.alphas_cumprod)
    torch.testing.assert_close(ours, scheduler.add_noise(latents, noise, timesteps))


def test_errors_are_of_each_latent():
    noise = torch.zeros(2, 1, 2, 2)
    predicted = torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    assert denoising_errors(predicted, noise).tolist() == [1, 9]
