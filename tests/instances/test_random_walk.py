import numpy as np

from trace_edges.instances.random_walk import random_walk


def test_walkers_do_not_cross_an_edge():
    # One marker left of the edge, one right of it, both far from it: each side is its own.
    edges = np.zeros((32, 64), dtype=np.float32)
    edges[:, 32:36] = 1
    markers = np.zeros((32, 64), dtype=np.int32)
    markers[12:20, 20:28], markers[12:20, 44:52] = 5, 9
    labels = random_walk(markers, edges, np.ones((32, 64), dtype=bool))
    assert (labels[4:28, 16:28] == 5).all()
    assert (labels[4:28, 40:56] == 9).all()
