"""Photographs, and edges of a picture that is all quarters."""

import numpy as np
import pytest
from PIL import Image

from .words import EXAMPLES


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("coffee.jpg", "coins.png"):
        with Image.open(EXAMPLES / name) as image:
            image.reduce(6).save(folder / name)
    return folder


@pytest.fixture
def quarters(tmp_path):
    """A grey picture, and edges that close its four quarters: a strong line and a weak one."""
    photos, edges = tmp_path / "grey", tmp_path / "edges"
    photos.mkdir()
    edges.mkdir()
    Image.new("RGB", (41, 41), (90, 90, 90)).save(photos / "g.png")
    strengths = np.zeros((41, 41), dtype=np.float32)
    strengths[20], strengths[:, 20] = 0.5, 1
    np.save(edges / "g.npy", strengths)
    return photos, edges
