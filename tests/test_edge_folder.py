"""A folder of edge maps as a source of edges."""

import numpy as np
from PIL import Image

from trace_edges.edge_folder import EdgeFolder


def test_edges_of_any_depth_are_read_in_0_to_1(tmp_path):
    Image.fromarray(np.full((4, 4), 65535, dtype=np.uint16)).save(tmp_path / "deep.png")
    np.save(tmp_path / "real.npy", np.full((4, 4), 0.5))
    folder = EdgeFolder(tmp_path)
    assert folder.edges("deep").max() == 1
    assert folder.edges("real").max() == 0.5
