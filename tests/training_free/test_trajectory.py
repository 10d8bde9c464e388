"""Latent and label belong together on both trajectories; a fake backbone writes them down."""

import torch
from diffusers import DDPMScheduler

from trace_edges.backbones import DiffusionBackbone
from trace_edges.backbones.schedules import DDPMSchedule, FlowSchedule
from trace_edges.training_free.trajectory import inversion, noise

TIMESTEPS = (0, 99, 499, 999)
SCHEDULE = DDPMSchedule(DDPMScheduler().alphas_cumprod.double())


class FakeBackbone(DiffusionBackbone):
    """Predicts one noise for whatever it is given, and keeps what it was given."""

    def __init__(self, epsilon):
        self.schedule, self.epsilon, self.seen = SCHEDULE, epsilon, []

    def attend(self, latents, timestep):
        self.seen.append((timestep, latents.clone()))
        attention = torch.full((len(latents), 4, 4), float(timestep))
        return self.epsilon, attention, (2, 2)


def latents(seed):
    return torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(seed))


def seen_by(trajectory, *extra, start=0):
    backbone = FakeBackbone(latents(1))
    steps = list(trajectory(backbone, latents(start), TIMESTEPS, *extra))
    assert tuple(step.timestep for step in steps) == TIMESTEPS
    assert tuple(t for t, _ in backbone.seen) == TIMESTEPS
    for step in steps:
        assert step.grid == (2, 2)
        assert step.attention[0, 0, 0] == step.timestep  # the map of this step, not of another
    return [x for _, x in backbone.seen]


def test_inversion_shows_the_model_the_latent_of_the_label():
    """With one noise for all levels, x_t is the q-sample of one x_0 at every t."""
    epsilon = latents(1)
    visited = seen_by(inversion)
    assert torch.equal(visited[0], latents(0))  # the clean latent, labelled 0
    a = SCHEDULE.alphas_cumprod[0].item()
    clean = (latents(0) - (1 - a) ** 0.5 * epsilon) / a**0.5
    for timestep, x in zip(TIMESTEPS, visited, strict=True):
        torch.testing.assert_close(
            x, SCHEDULE.noised(clean, epsilon, timestep), rtol=1e-4, atol=1e-4
        )


def test_inversion_runs_the_model_once_per_step_and_no_further():
    backbone = FakeBackbone(latents(1))
    steps = inversion(backbone, latents(0), TIMESTEPS)
    next(steps), next(steps)
    assert [t for t, _ in backbone.seen] == [0, 99]


def noise_in(visited):
    """The noise of each step, from x_t and the clean latents."""
    alphas = [SCHEDULE.alphas_cumprod[t].item() for t in TIMESTEPS]
    return torch.stack(
        [(x - a**0.5 * latents(0)) / (1 - a) ** 0.5 for a, x in zip(alphas, visited, strict=True)]
    )  # (S, B, C, h, w)


def test_noise_is_one_noise_for_all_steps_and_images():
    fixed = noise_in(seen_by(noise, 5))
    torch.testing.assert_close(fixed, fixed[:1, :1].expand_as(fixed), rtol=0, atol=1e-3)
    assert fixed[-1, 0].std() > 0.5
    assert fixed[-1, 0].unique().numel() == 16  # but not for all places


def test_noise_is_a_matter_of_the_seed():
    first, again, other = (seen_by(noise, seed) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.allclose(first[-1], other[-1], atol=0.1)


def test_inversion_of_a_flow_shows_the_model_the_latent_of_the_label():
    """With one velocity everywhere the path is straight: x_s = x_0 + s v, and s = 1 is reached."""
    backbone = FakeBackbone(latents(1))
    backbone.schedule = FlowSchedule()
    timesteps = backbone.schedule.timesteps(250)
    assert [step.timestep for step in inversion(backbone, latents(0), timesteps)] == [
        0, 250, 500, 750, 1000
    ]  # fmt: skip
    for (timestep, x), s in zip(backbone.seen, (0, 0.25, 0.5, 0.75, 1), strict=True):
        assert timestep == 1000 * s
        torch.testing.assert_close(x, latents(0) + s * latents(1))


def test_noise_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    seen_by(noise, 5)
    assert torch.equal(torch.rand(1), expected)
