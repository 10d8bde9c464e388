"""What is kept of a trajectory is what the pipeline saw."""

import numpy as np
import pytest

from trace_edges.explore import recording
from trace_edges.explore.recording import record
from trace_edges.training_free.pipeline import TraceEdgePipeline, TraceSettings

SETTINGS = TraceSettings(resolution=64, subcell=1, stride=250)


def image():
    rows, columns = np.mgrid[:48, :64]
    disc = np.hypot(rows - 20, columns - 30) < 12
    return np.repeat((40 + 160 * disc + rows)[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def pipe(trace_mini):
    return TraceEdgePipeline(trace_mini)


@pytest.fixture(scope="module")
def found(pipe):
    told = []
    kept = record(pipe, image(), SETTINGS, told.append)
    assert told == [0, 1, 2, 3, 4]
    return kept


def test_rows_are_those_of_the_attention_of_each_step(pipe, found):
    seen = []
    result = pipe(image(), SETTINGS, on_step=lambda step: seen.append(step))
    assert found.timesteps == tuple(step.timestep for step in seen)
    assert found.grid == seen[0].grid
    height, width = found.grid
    for index, step in enumerate(seen):
        for row, column in ((0, 0), (2, 3), (height - 1, width - 1)):
            looks = found.row(index, (row, column))
            assert looks.shape == (height, width)
            assert looks.sum() == pytest.approx(1, abs=1e-5)
            expected = step.attention[0, row * width + column].reshape(height, width).numpy()
            np.testing.assert_allclose(looks, expected, rtol=2e-3, atol=1e-7)
    assert found.timesteps[found.emergence] == result.emergence.timestep[0]
    np.testing.assert_array_equal(found.edges.edges, result.edges)
    np.testing.assert_array_equal(found.divergence[found.emergence], result.raw[0])


def test_a_point_belongs_to_the_cell_it_lies_in(found):
    height, width = found.grid
    assert found.place(0, 0) == (0, 0)
    assert found.place(1, 1) == (height - 1, width - 1)
    assert found.place(0.999 / width, 1.001 / height) == (1, 0)


def test_more_than_is_kept_is_refused_before_it_is_read(pipe, monkeypatch):
    monkeypatch.setattr(recording, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="choose a smaller resolution"):
        record(pipe, image(), SETTINGS, pytest.fail)


def test_what_is_raised_at_a_step_ends_the_reading(pipe):
    class EnoughError(Exception):
        pass

    def enough(step):
        if step == 1:
            raise EnoughError

    with pytest.raises(EnoughError):
        record(pipe, image(), SETTINGS, enough)


def test_the_maps_go_with_what_refers_to_them(pipe):
    from pathlib import Path

    kept = record(pipe, image(), SETTINGS, lambda step: None)
    folder = Path(kept.folder.name)
    assert list(folder.iterdir())
    del kept
    assert not folder.exists()
