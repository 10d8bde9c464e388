import numpy as np

from trace_edges.instances.bgp import flood


def test_markers_meet_on_the_ridge():
    edges = np.tile(np.array([0, 0.1, 0.2, 0.9, 0.2, 0.1, 0.0]), (3, 1))
    markers = np.zeros((3, 7), dtype=np.int32)
    markers[:, 0], markers[:, 6] = 4, 7
    labels = flood(markers, edges, np.ones((3, 7), dtype=bool))
    assert (labels[:, :3] == 4).all()
    assert (labels[:, 4:] == 7).all()
    assert set(np.unique(labels[:, 3])) <= {4, 7}


def test_the_flood_stays_in_the_mask_and_keeps_what_is_owned():
    mask = np.ones((4, 6), dtype=bool)
    mask[:, 3] = False
    markers = np.zeros((4, 6), dtype=np.int32)
    markers[0, 0] = 1
    labels = flood(markers, np.zeros((4, 6)), mask)
    assert (labels[:, :3] == 1).all()
    assert (labels[:, 3:] == 0).all()  # nothing of it is connected to a marker
    full = np.where(mask, 2, 0).astype(np.int32)
    assert np.array_equal(flood(full, np.ones((4, 6)), mask), full)
