"""A pipeline that remembers gives what one that does not gives, for fewer passes."""

import numpy as np
import pytest

from benchmarks.ablation.trajectories import RememberingPipeline
from trace_edges.training_free.pipeline import TraceEdgePipeline, TraceSettings

FAST = {"resolution": 64, "subcell": 1, "stride": 250}  # steps 0, 249, 499, 749, 999
SETTINGS = [
    TraceSettings(**FAST | changes)
    for changes in (
        {},
        {"timestep": 249},
        {"timestep": 300},  # not a step of the stride
        {"criterion": "wasserstein", "ignore_first": 1},
        {"neighbours": 8, "symmetric": True, "border": "copy"},
        {"layers": (1, 3)},
        {"trajectory": "noise", "seed": 3},
        {"trajectory": "noise", "seed": 3, "timestep": 499},
        {"subcell": 2, "timestep": 249},
        {"resolution": 96, "emergence_resolution": 64},
    )
]


def image(seed=0, height=48, width=64):
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    disc = np.hypot(rows - 20, columns - 30 - seed) < 12
    values = 60 + 120 * disc + random.uniform(0, 20, (height, width))
    return np.stack([values, 0.8 * values, 200 - values], axis=-1).astype(np.uint8)


@pytest.fixture
def remembering(trace_mini, tmp_path):
    return lambda: RememberingPipeline(trace_mini, tmp_path / "walks", SETTINGS)


def assert_equal(one, other):
    for name in ("edges", "ridges", "raw"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert np.array_equal(one.emergence.curve, other.emergence.curve)
    assert np.array_equal(one.emergence.timesteps, other.emergence.timesteps)
    assert np.array_equal(one.emergence.timestep, other.emergence.timestep)
    assert one.settings == other.settings


@pytest.mark.long
def test_every_setting_gives_what_the_pipeline_gives(trace_mini, remembering):
    plain, first, again = TraceEdgePipeline(trace_mini), remembering(), remembering()
    for settings in SETTINGS:
        expected = plain(image(), settings)
        assert_equal(first(image(), settings), expected)
        assert_equal(again(image(), settings), expected)  # all of it from disk
    assert again.passes == 0
    assert again.seconds == first.seconds > 0


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, 0),
        ({"timestep": 499}, 0),
        ({"criterion": "l2", "ignore_first": 2}, 0),
        ({"neighbours": 8, "symmetric": True, "border": "copy"}, 0),
        ({"seed": 1}, 0),  # inversion draws none
        ({"stride": 500, "timestep": 499}, 2),  # 0, 499
        ({"timestep": 300}, 3),  # 0, 249, 300
        ({"layers": (0,), "timestep": 249}, 2),
        ({"trajectory": "noise", "timestep": 249}, 1),
        ({"resolution": 72, "timestep": 0}, 1),
    ],
)
def test_a_trajectory_serves_all_that_needs_no_other_pass(remembering, changes, passes):
    pipe = remembering()
    pipe(image(), TraceSettings(**FAST))
    assert pipe.passes == 5
    pipe(image(), TraceSettings(**FAST | changes))
    assert pipe.passes == 5 + passes


def test_another_photograph_or_seed_is_another_trajectory(remembering):
    pipe = remembering()
    settings = TraceSettings(**FAST, trajectory="noise")
    for number, (seed, noise_seed) in enumerate([(0, 0), (1, 0), (0, 1)], 1):
        pipe(image(seed), settings, seed=noise_seed)
        assert pipe.passes == 5 * number


def test_a_short_trajectory_is_run_again_when_more_is_asked_for(remembering):
    pipe = remembering()
    for timestep, passes in ((249, 2), (0, 2), (999, 7), (749, 7)):
        pipe(image(), TraceSettings(**FAST, timestep=timestep))
        assert pipe.passes == passes


def test_seconds_are_those_of_the_passes_a_row_rests_on(remembering, tmp_path):
    pipe = remembering()
    pipe(image(), TraceSettings(**FAST))
    (file,) = (tmp_path / "walks").iterdir()
    with np.load(file) as kept:
        seconds = kept["seconds"]
    assert seconds.shape == (5,)
    assert (seconds > 0).all()
    assert pipe.seconds == pytest.approx(seconds.sum())
    pipe(image(), TraceSettings(**FAST, timestep=249))
    assert pipe.seconds == pytest.approx(seconds.sum() + seconds[:2].sum())


def test_what_cannot_be_had_from_disk_is_refused(trace_mini, tmp_path):
    pipe = RememberingPipeline(trace_mini, tmp_path, [TraceSettings()])
    with pytest.raises(ValueError, match="on_step is not for it"):
        pipe(image(), TraceSettings(**FAST), on_step=print)
    with pytest.raises(ValueError, match=r"neighbours=8 .* is not a reading"):
        pipe(image(), TraceSettings(**FAST, timestep=0, neighbours=8))
    assert pipe.passes == 0
