from functools import partial

import numpy as np
import pytest
from PIL import Image

from trace_edges.evaluation.edges import edge_truth
from trace_edges.formats.truth import Segments
from trace_edges.metrics.protocol import EdgeProtocol


def draw_squares(seed):
    """Two touching squares somewhere on a background."""
    top, left = np.random.default_rng(seed).integers(4, 12, 2)
    labels = np.zeros((40, 56), dtype=np.int32)
    labels[top : top + 16, left : left + 16] = 1
    labels[top : top + 16, left + 16 : left + 32] = 2
    return labels


def annotators(labels):
    return [Segments(labels, np.zeros(labels.shape, dtype=bool))]


@pytest.fixture
def squares():
    """Draws the label map of a seed."""
    return draw_squares


@pytest.fixture
def truth():
    return {name: partial(annotators, draw_squares(seed)) for seed, name in enumerate("abc")}


def write_maps(folder, truth, change=lambda edges: edges):
    """The true boundaries as 8-bit PNGs, changed."""
    folder.mkdir()
    for name, read in truth.items():
        edges = edge_truth(read(), EdgeProtocol()).annotations[0]
        Image.fromarray((255 * change(edges)).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def methods(tmp_path, truth):
    return {
        "perfect": write_maps(tmp_path / "perfect", truth),
        "far off": write_maps(
            tmp_path / "far", truth, lambda edges: np.roll(edges, 3, axis=(0, 1))
        ),
        "nothing": write_maps(tmp_path / "nothing", truth, lambda edges: 0 * edges),
    }
