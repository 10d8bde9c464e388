"""What is kept of a trajectory is what its maps say, and the maps themselves are let go."""

import weakref

import pytest
import torch

from trace_edges.backbones import DiffusionBackbone
from trace_edges.sources import Step
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import map_change
from trace_edges.training_free.trajectory import KeptSteps, inversion, noise, read_trajectory

TIMESTEPS = (0, 99, 499)


def images(b=2):
    """Smooth random images, 48 x 64 px."""
    coarse = torch.rand(b, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (48, 64), mode="bilinear")


@pytest.mark.parametrize("trajectory", ["inversion", "noise"])
def test_what_is_read_are_the_divergences_of_the_steps(trace_mini, trajectory):
    options = {"neighbours": 8, "symmetric": True, "border": "copy"}
    seen = read_trajectory(trace_mini, images(), TIMESTEPS, trajectory, seed=4, **options)
    with torch.inference_mode():
        clean = trace_mini.encode(images())
        if trajectory == "inversion":
            steps = list(inversion(trace_mini, clean, TIMESTEPS))
        else:
            steps = list(noise(trace_mini, clean, TIMESTEPS, 4))
    assert seen.timesteps == TIMESTEPS
    assert seen.divergence.shape == (3, 2, 6, 8)
    for found, step in zip(seen.divergence, steps, strict=True):
        assert torch.equal(found, boundary_divergence(step.attention, step.grid, **options))
    assert seen.curve.shape == (2, 2)
    for index in range(2):
        changed = map_change(steps[index].attention, steps[index + 1].attention, (6, 8))
        assert torch.equal(seen.curve[:, index], changed)
    assert (seen.curve > 0).all()


@pytest.mark.parametrize("trajectory", ["inversion", "noise"])
def test_steps_that_are_only_gone_through_change_nothing(trace_mini, trajectory):
    """A plain pass gives the output of a recorded one, bit for bit."""
    whole = read_trajectory(trace_mini, images(), TIMESTEPS, trajectory)
    last = read_trajectory(trace_mini, images(), TIMESTEPS, trajectory, start=1)
    assert last.timesteps == TIMESTEPS[1:]
    assert torch.equal(last.divergence, whole.divergence[1:])
    assert torch.equal(last.curve, whole.curve[:, 1:])


def test_rows_of_every_step_are_distributions(trace_mini):
    sums = []
    read_trajectory(
        trace_mini, images(), TIMESTEPS, on_step=lambda step, _: sums.append(step.attention.sum(2))
    )
    torch.testing.assert_close(torch.stack(sums), torch.ones(3, 2, 48))


def test_one_step_has_no_curve(trace_mini):
    assert read_trajectory(trace_mini, images(), (499,)).curve.shape == (2, 0)


def test_the_seed_matters_to_noise_only(trace_mini):
    def last(trajectory, seed):
        return read_trajectory(trace_mini, images(1), (0, 499), trajectory, seed).divergence[-1]

    assert torch.equal(last("inversion", 0), last("inversion", 1))
    assert torch.equal(last("noise", 1), last("noise", 1))
    assert not torch.allclose(last("noise", 0), last("noise", 1), rtol=0.01)


class FakeBackbone(DiffusionBackbone):
    """Hands out random maps and counts those that are alive."""

    def __init__(self, schedule):
        self.schedule, self.maps, self.alive = schedule, [], []

    def encode(self, images):
        return torch.zeros(len(images), 4, 6, 8)

    def attend(self, latents, timestep):
        attention = torch.softmax(torch.randn(len(latents), 48, 48), -1)
        self.maps.append(weakref.ref(attention))
        self.alive.append(sum(reference() is not None for reference in self.maps))
        return latents, attention, (6, 8)


@pytest.mark.parametrize("trajectory", ["inversion", "noise"])
def test_no_more_than_two_maps_are_alive(trace_mini, trajectory):
    backbone = FakeBackbone(trace_mini.schedule)
    read_trajectory(backbone, images(), (0, 99, 199, 299, 399, 499), trajectory)
    assert backbone.alive == [1, 2, 2, 2, 2, 2]
    assert not any(reference() is not None for reference in backbone.maps)


def step(number, values):
    """A faked step of two images whose maps hold these values."""
    return Step(number, torch.tensor(values)[:, None, None].expand(2, 1, 1), (1, 1))


def test_the_step_after_the_largest_change_of_each_image_is_kept():
    kept = KeptSteps(first=1)
    changes = [None, (9.0, 9.0), (1.0, 3.0), (2.0, 3.0), (0.0, 1.0)]  # the first counts for nothing
    for number, change in enumerate(changes):
        kept(step(number, (number, -number)), None if change is None else torch.tensor(change))
    first, second = kept[0], kept[1]
    assert (first.timestep, second.timestep) == (
        3,
        2,
    )  # of equal changes the first, as argmax has it
    assert first.attention.flatten().tolist() == [3]
    assert second.attention.flatten().tolist() == [-2]


def test_the_last_step_is_kept_where_none_is_sought():
    kept = KeptSteps(last=True)
    for number, change in enumerate([None, (5.0, 5.0), (1.0, 1.0)]):
        kept(step(number, (0, 0)), None if change is None else torch.tensor(change))
    assert [kept[image].timestep for image in (0, 1)] == [2, 2]
