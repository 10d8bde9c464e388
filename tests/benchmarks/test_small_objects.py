"""Recall of small objects: of edges by outlines, of masks by IoU."""

import numpy as np
from scipy.ndimage import binary_erosion

from benchmarks.edges.small_objects import Instance, by_edges, by_masks
from trace_edges.results import InstanceMasks


def test_recall_of_small_objects():
    """An outline with edges near on three of its four sides; a mask that is half of the object."""
    labels = np.zeros((40, 40), dtype=np.int32)
    labels[5:25, 5:25] = 1
    mask = labels == 1
    outline = np.argwhere(mask & ~binary_erosion(mask))
    thing = Instance("a", mask, outline)
    edges = np.zeros((40, 40))
    edges[5:25, [5, 24]] = edges[5, 5:25] = 1
    found = by_edges({"a": edges}, [thing], 0.5, 0)
    assert found.tolist() == [True]
    edges[5] = 0
    assert by_edges({"a": edges}, [thing], 0.5, 0).tolist() == [False]
    half, less = mask.copy(), mask.copy()
    half[15:], less[14:] = False, False
    for drawn, expected in ((half, True), (less, False)):
        masks = InstanceMasks(drawn[None], np.ones(1, dtype=np.float32))
        assert by_masks({"a": masks}, [thing]).tolist() == [expected]
