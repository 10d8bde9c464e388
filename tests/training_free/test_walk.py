"""What is kept of a trajectory is what its maps say, and the maps themselves are let go."""

import weakref

import pytest
import torch

from trace_edges.backbones import DiffusionBackbone
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import map_change
from trace_edges.training_free.trajectory import inversion, noise
from trace_edges.training_free.walk import survey, walk

TIMESTEPS = (0, 99, 499)


def pictures(b=2):
    """Smooth random pictures, 48 x 64 px."""
    coarse = torch.rand(b, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (48, 64), mode="bilinear")


@pytest.mark.parametrize("trajectory", ["inversion", "noise"])
def test_a_walk_is_the_divergences_of_its_steps(trace_mini, trajectory):
    options = {"neighbours": 8, "symmetric": True, "border": "copy"}
    seen = walk(trace_mini, pictures(), TIMESTEPS, trajectory, seed=4, **options)
    with torch.inference_mode():
        clean = trace_mini.encode(pictures())
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
    whole = walk(trace_mini, pictures(), TIMESTEPS, trajectory)
    last = walk(trace_mini, pictures(), TIMESTEPS, trajectory, start=1)
    assert last.timesteps == TIMESTEPS[1:]
    assert torch.equal(last.divergence, whole.divergence[1:])
    assert torch.equal(last.curve, whole.curve[:, 1:])


def test_a_survey_is_several_walks_for_the_passes_of_one(trace_mini, monkeypatch):
    readings = [{}, {"neighbours": 8, "border": "copy"}, {"symmetric": True}]
    walks = {
        criterion: [walk(trace_mini, pictures(), TIMESTEPS, criterion=criterion, **options)
                    for options in readings]
        for criterion in ("kl", "wasserstein")
    }  # fmt: skip
    visited, attend = [], trace_mini.attend

    def counted(latents, timestep):
        visited.append(timestep)
        return attend(latents, timestep)

    monkeypatch.setattr(trace_mini, "attend", counted)
    seen = survey(
        trace_mini, pictures(), TIMESTEPS, criteria=["kl", "wasserstein"], divergences=readings
    )
    assert tuple(visited) == seen.timesteps == TIMESTEPS
    assert seen.curves.keys() == walks.keys()
    for criterion, alone in walks.items():
        assert torch.equal(seen.curves[criterion], alone[0].curve)
        for found, one in zip(seen.divergences, alone, strict=True):
            assert torch.equal(found, one.divergence)
    assert not torch.equal(seen.curves["kl"], seen.curves["wasserstein"])
    assert not torch.equal(seen.divergences[0], seen.divergences[2])


def test_rows_of_every_step_are_distributions(trace_mini):
    sums = []
    walk(trace_mini, pictures(), TIMESTEPS, on_step=lambda step: sums.append(step.attention.sum(2)))
    torch.testing.assert_close(torch.stack(sums), torch.ones(3, 2, 48))


def test_one_step_has_no_curve(trace_mini):
    assert walk(trace_mini, pictures(), (499,)).curve.shape == (2, 0)


def test_the_seed_matters_to_noise_only(trace_mini):
    def last(trajectory, seed):
        return walk(trace_mini, pictures(1), (0, 499), trajectory, seed).divergence[-1]

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
    walk(backbone, pictures(), (0, 99, 199, 299, 399, 499), trajectory)
    assert backbone.alive == [1, 2, 2, 2, 2, 2]
    assert not any(reference() is not None for reference in backbone.maps)
