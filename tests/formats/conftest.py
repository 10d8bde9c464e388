import numpy as np
import pytest

from trace_edges.results import InstanceMasks


@pytest.fixture
def pictures():
    """Two pictures of 20 x 30 and 10 x 10 px: a ring, two parts, an overlap, one pixel; nothing."""
    ring, parts, over, dot = (np.zeros((20, 30), dtype=bool) for _ in range(4))
    ring[2:12, 3:13] = True
    ring[5:8, 6:10] = False
    parts[0:4, 20:24] = parts[10:20, 22:30] = True
    over[9:16, 9:18] = True
    dot[18, 1] = True
    scores = np.array([0.9, 0.25, 0.125, 1], dtype=np.float32)
    return {
        "cat": InstanceMasks(np.stack([ring, parts, over, dot]), scores),
        "blank": InstanceMasks(np.zeros((0, 10, 10), dtype=bool), np.zeros(0, dtype=np.float32)),
    }
