"""Which steps are read, and where t* is found."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from trace_edges.images import resize_image, to_tensor
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import map_change
from trace_edges.training_free.settings import visited_steps
from trace_edges.training_free.trajectory import read_trajectory

from .small import FAST, STEPS, assert_equal, picture


@pytest.fixture
def passes(pipe, monkeypatch):
    """What runs: ("plain" | "captured", timestep) of every pass of the denoiser."""
    seen = []
    predict, attend = pipe.backbone.predict, pipe.backbone.attend

    def plain(latents, timestep):
        seen.append(("plain", timestep))
        return predict(latents, timestep)

    def captured(latents, timestep):
        found = attend(latents, timestep)
        seen[-1] = ("captured", timestep)  # which made a plain pass within
        return found

    monkeypatch.setattr(pipe.backbone, "predict", plain)
    monkeypatch.setattr(pipe.backbone, "attend", captured)
    return seen


@pytest.mark.parametrize(("timestep", "before"), [(0, []), (249, [0]), (300, [0, 249])])
def test_steps_before_a_fixed_one_are_gone_through_without_capture(pipe, passes, timestep, before):
    told = []
    out = pipe(picture(), FAST, timestep=timestep, on_step=lambda step: told.append(step.timestep))
    assert passes == [*(("plain", step) for step in before), ("captured", timestep)]
    assert told == out.emergence.timesteps.tolist() == out.emergence.timestep.tolist() == [timestep]
    assert out.emergence.curve.shape == (1, 0)
    assert out.settings["timestep"] == timestep


def test_a_fixed_step_captures_once_a_view(pipe, passes):
    pipe(picture(), FAST, timestep=249, subcell=2)
    assert passes == 4 * [("plain", 0), ("captured", 249)]


@pytest.mark.parametrize("timestep", [249, 300])
def test_a_step_is_read_alike_with_and_without_those_before_it(pipe, timestep):
    """To the byte: what a plain pass computes is what a recorded one does."""
    out = pipe(picture(), FAST, timestep=timestep)
    prepared = pipe.prepare(picture(), FAST)
    view = to_tensor(resize_image(prepared.image, prepared.size))[None]
    steps = visited_steps(pipe.backbone, replace(FAST, timestep=timestep))
    whole = read_trajectory(pipe.backbone, view, steps)  # every step captured
    assert out.raw.tobytes() == whole.divergence[-1].numpy().tobytes()


def test_with_noise_a_fixed_timestep_needs_no_other(pipe, passes):
    out = pipe(picture(), FAST, timestep=300, trajectory="noise")
    assert passes == [("captured", 300)]
    assert out.emergence.timesteps.tolist() == out.emergence.timestep.tolist() == [300]


@pytest.mark.parametrize("timestep", [-1, 1000])
def test_a_timestep_outside_the_schedule_is_refused(pipe, timestep):
    with pytest.raises(ValueError, match=rf"timestep {timestep} is outside 0 \.\. 999"):
        pipe(picture(), FAST, timestep=timestep)


@pytest.mark.parametrize("timestep", [None, 249])
def test_raw_is_the_divergence_of_the_attention_at_that_step(pipe, timestep):
    maps = {}

    def keep(step):
        maps[step.timestep] = boundary_divergence(step.attention, step.grid)[0].numpy()

    out = pipe(picture(), FAST, timestep=timestep, on_step=keep)
    assert np.array_equal(out.raw[0], maps[int(out.emergence.timestep[0])])


def test_shifted_views_are_read_at_the_emergence_point_only(pipe, monkeypatch):
    visited = []
    plain = pipe.backbone.attend

    def attend(latents, timestep):
        visited.append(timestep)
        return plain(latents, timestep)

    monkeypatch.setattr(pipe.backbone, "attend", attend)
    seen = []
    out = pipe(picture(), FAST, subcell=2, on_step=lambda step: seen.append(step.timestep))
    assert seen == STEPS  # of the unshifted view only
    assert visited == STEPS + 3 * out.emergence.timestep.tolist()


def test_t_star_found_on_a_coarser_grid_gives_the_edges_of_that_step(pipe):
    """The curve is the one of the small picture; the edges those of a walk to t* at full size."""
    image = picture(60, 84)
    out = pipe(image, FAST, resolution=96, emergence_resolution=48)
    timestep = int(out.emergence.timestep[0])
    small = pipe(resize_image(image, (40, 56)), FAST, resolution=48)
    assert out.settings["model_size"] == [80, 112]
    assert out.emergence.timesteps.tolist() == STEPS
    assert timestep == STEPS[out.emergence.curve[0].argmax() + 1]
    np.testing.assert_allclose(out.emergence.curve, small.emergence.curve, rtol=0.1)
    asked = pipe(image, FAST, resolution=96, timestep=timestep)
    assert np.array_equal(out.raw, asked.raw)
    assert np.array_equal(out.ridges, asked.ridges)


def test_a_larger_emergence_resolution_is_the_papers_one_grid(pipe):
    papers = pipe(picture(), FAST, resolution=64, emergence_resolution=64)
    assert_equal(pipe(picture(), FAST, resolution=64, emergence_resolution=1000), papers)
    assert papers.settings["emergence_resolution"] == 64


@pytest.mark.parametrize("criterion", ["l1", "l2", "entropy", "wasserstein"])
def test_the_curve_is_measured_by_the_criterion(pipe, criterion):
    steps = []
    out = pipe(picture(), FAST, criterion=criterion, ignore_first=1, on_step=steps.append)
    expected = [
        map_change(before.attention, after.attention, after.grid, criterion).item()
        for before, after in pairwise(steps)
    ]
    assert out.emergence.curve[0].tolist() == expected
    assert out.emergence.timestep[0] == STEPS[np.argmax(expected[1:]) + 2]
    assert out.settings["criterion"] == criterion
    assert out.settings["ignore_first"] == 1


def test_ignoring_every_change_is_refused_before_walking(pipe, monkeypatch):
    monkeypatch.setattr(pipe.backbone, "attend", None)
    with pytest.raises(ValueError, match=r"stride 250 gives 5 steps, .* with ignore_first=4"):
        pipe(picture(), FAST, ignore_first=4)
