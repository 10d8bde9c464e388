"""A picture and settings that take the pipeline little time."""

import numpy as np

from trace_edges.training_free.pipeline import TraceSettings

FAST = TraceSettings(resolution=64, subcell=1, stride=250)  # steps 0, 249, 499, 749, 999
STEPS = [0, 249, 499, 749, 999]


def picture(height=40, width=56, seed=0):
    """A bright disc on a gradient, with some noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    centre = random.uniform(0.3, 0.7, 2) * (height, width)
    disc = np.hypot(rows - centre[0], columns - centre[1]) < min(height, width) / 4
    values = 60 * columns / width + 120 * disc + random.uniform(0, 20, (height, width))
    return np.stack([values, 0.8 * values, 200 - values], axis=-1).astype(np.uint8)


def assert_equal(one, other, tolerance=0.0):
    for name in ("edges", "raw"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), 0, tolerance)
    np.testing.assert_allclose(one.emergence.curve, other.emergence.curve, 0, tolerance)
    assert np.array_equal(one.emergence.timestep, other.emergence.timestep)
    if not tolerance:
        assert np.array_equal(one.ridges, other.ridges)
