import numpy as np
import pytest
from PIL import Image

from trace_edges.datasets.coco import read_panoptic


def test_an_id_is_its_colour_to_the_base_of_256(tmp_path):
    colours = np.array([[[0, 0, 0], [1, 0, 0]], [[0, 1, 0], [3, 2, 1]]], dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "ids.png")
    assert read_panoptic(tmp_path / "ids.png").tolist() == [[0, 1], [256, 3 + 512 + 65536]]


def test_a_grey_png_is_refused_by_name(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match=r"grey\.png"):
        read_panoptic(tmp_path / "grey.png")
