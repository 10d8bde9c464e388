"""Noise levels against diffusers, and moves between them whose end is known."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

from trace_edges.backbones.schedules import DDPMSchedule, FlowSchedule

REFERENCE = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
PAIRS = [(0, 99), (99, 0), (199, 899), (999, 0)]


def schedule(prediction_type="epsilon"):
    return DDPMSchedule(REFERENCE.alphas_cumprod.double(), prediction_type)


def samples():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 2, 4, 6, 8, generator=generator, dtype=torch.float64)


def test_timesteps_are_the_papers():
    assert schedule().timesteps(100) == (0, 99, 199, 299, 399, 499, 599, 699, 799, 899, 999)
    assert schedule().timesteps(500) == (0, 499, 999)
    assert schedule().timesteps(300) == (0, 299, 599, 899)
    assert schedule().timesteps(1) == tuple(range(1000))


def test_alphas_are_the_known_ones_of_stable_diffusion():
    known = [0.999, 0.895, 0.755, 0.592, 0.426, 0.278, 0.162, 0.083, 0.037, 0.014, 0.0047]
    alphas = schedule().alphas_cumprod[list(schedule().timesteps())]
    torch.testing.assert_close(alphas, torch.tensor(known).double(), rtol=0, atol=6e-4)


@pytest.mark.parametrize("timestep", [0, 99, 999])
def test_noised_is_diffusers_add_noise(timestep):
    clean, noise = samples()
    expected = REFERENCE.add_noise(clean, noise, torch.tensor([timestep, timestep]))
    torch.testing.assert_close(
        schedule().noised(clean, noise, timestep), expected, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(("timestep", "to"), PAIRS)
def test_moving_with_the_exact_noise_is_the_q_sample_of_the_other_level(timestep, to):
    clean, noise = samples()
    ours = schedule()
    moved = ours.move(ours.noised(clean, noise, timestep), noise, timestep, to)
    torch.testing.assert_close(moved, ours.noised(clean, noise, to))


@pytest.mark.parametrize(("timestep", "to"), PAIRS)
def test_there_and_back_with_one_output_is_the_start(timestep, to):
    latents, output = samples()
    there = schedule().move(latents, output, timestep, to)
    assert not torch.allclose(there, latents, atol=0.1)
    torch.testing.assert_close(schedule().move(there, output, to, timestep), latents)


@pytest.mark.parametrize("timestep", [0, 99, 999])
def test_velocity_means_the_same_noise(timestep):
    clean, noise = samples()
    a = REFERENCE.alphas_cumprod[timestep].double()
    velocity = a.sqrt() * noise - (1 - a).sqrt() * clean  # Salimans & Ho 2022, appendix D
    ours = schedule("v_prediction")
    noised = ours.noised(clean, noise, timestep)
    torch.testing.assert_close(ours.epsilon(noised, velocity, timestep), noise)
    torch.testing.assert_close(
        ours.move(noised, velocity, timestep, 499), ours.noised(clean, noise, 499)
    )


def test_epsilon_is_taken_as_it_is():
    latents, output = samples()
    assert schedule().epsilon(latents, output, 99) is output


def test_other_predictions_are_refused():
    with pytest.raises(ValueError, match="'sample' is not supported; known: epsilon, v_prediction"):
        # Called as it is, since the checker of the tests refuses the argument in its own words.
        DDPMSchedule.__post_init__(SimpleNamespace(prediction_type="sample"))


def test_flow_goes_from_the_image_to_noise_in_even_steps():
    assert FlowSchedule().timesteps(100) == tuple(range(0, 1001, 100))
    assert FlowSchedule().timesteps(300) == (0, 300, 600, 900)


def test_a_shift_moves_the_steps_of_a_flow_as_its_sampler_does():
    sampler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    sampler.set_timesteps(sigmas=[i / 10 for i in range(10, 0, -1)])
    theirs = [round(t) for t in reversed(sampler.timesteps.tolist())]
    assert FlowSchedule().timesteps(100, shift=3.0) == (0, *theirs)
    assert FlowSchedule().timesteps(100, shift=1.0) == FlowSchedule().timesteps(100)
    close = FlowSchedule().timesteps(1, shift=3.0)  # steps that would fall together are one
    assert list(close) == sorted(set(close))
    assert close[-1] == 1000


def test_other_schedules_have_no_shift():
    with pytest.raises(ValueError, match=r"shift 3\.0 is for flow models \(SD3, FLUX\)"):
        schedule().timesteps(100, shift=3.0)


def test_levels_of_a_flow_are_uniform():
    torch.testing.assert_close(
        FlowSchedule().levels[::250], torch.tensor([0, 0.25, 0.5, 0.75, 1]).double()
    )
    # The shift of a sampler moves where it stops, not what a timestep means.
    shifted = FlowMatchEulerDiscreteScheduler(shift=3.0)
    assert FlowSchedule.of(shifted) == FlowSchedule(1000)


def test_flow_noises_as_diffusers_does():
    clean, noise = samples()
    reference = FlowMatchEulerDiscreteScheduler()
    expected = reference.scale_noise(clean, torch.tensor([300.0, 300.0]), noise)
    torch.testing.assert_close(FlowSchedule().noised(clean, noise, 300), expected)


@pytest.mark.parametrize(("timestep", "to"), [(0, 100), (100, 0), (200, 900), (1000, 0)])
def test_along_the_exact_velocity_flow_meets_every_level(timestep, to):
    clean, noise = samples()
    ours = FlowSchedule()
    moved = ours.move(ours.noised(clean, noise, timestep), noise - clean, timestep, to)
    torch.testing.assert_close(moved, ours.noised(clean, noise, to))


def test_flow_moves_as_diffusers_steps():
    """Downwards, where diffusers can go."""
    latents, output = samples()
    reference = FlowMatchEulerDiscreteScheduler()
    reference.set_timesteps(sigmas=[0.5, 0.25])
    expected = reference.step(output, reference.timesteps[0], latents).prev_sample
    torch.testing.assert_close(FlowSchedule().move(latents, output, 500, 250), expected)


def test_schedulers_of_the_other_kind_are_refused():
    with pytest.raises(ValueError, match="FlowMatchEulerDiscreteScheduler has no alphas_cumprod"):
        DDPMSchedule.of(FlowMatchEulerDiscreteScheduler())
    with pytest.raises(ValueError, match="DDPMScheduler is one of DDPM's kind"):
        FlowSchedule.of(REFERENCE)


def test_v_prediction_comes_back_from_noise_alone():
    """With a zero terminal SNR, x_T is noise and v is -x_0: x_0 is known all the same."""
    schedule = DDPMSchedule(torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64), "v_prediction")
    clean, noise = torch.tensor([[[[2.0]]]]), torch.tensor([[[[0.5]]]])
    moved = schedule.move(noise, -clean, 2, 1)
    torch.testing.assert_close(moved, 0.5**0.5 * clean + 0.5**0.5 * noise)
