"""How an image and its results are shown on the page, where large ones are made smaller."""

import numpy as np
import pytest
from PIL import Image

from trace_edges.explore import photograph
from trace_edges.explore.photograph import SHOWN, Photograph
from trace_edges.images import ImageError
from trace_edges.results import EdgeMap


def edge_map(height, width, row):
    """One line across the image, of strength 0.5; the whole is 0.1."""
    edges = np.full((1, height, width), 0.1, dtype=np.float32)
    edges[0, row] = 0.5
    ridges = edges == 0.5
    return EdgeMap(edges, ridges)


def test_a_small_image_is_shown_as_it_is(tmp_path):
    Image.new("RGB", (40, 30), (9, 8, 7)).save(tmp_path / "a.b.png")
    found = Photograph.open(tmp_path / "a.b.png")
    assert found.name == "a.b"
    assert found.facts == "a.b: 40 x 30 px"
    assert found.block == 1
    np.testing.assert_array_equal(found.shown, found.pixels)
    assert found.pixel(39.9, 0) == (0, 39)


def test_notes_stand_in_the_facts(tmp_path):
    Image.new("RGBA", (40, 30), (9, 8, 7, 0)).save(tmp_path / "a.png")
    assert "transparent" in Photograph.open(tmp_path / "a.png").facts


def test_of_a_large_image_no_line_is_lost_and_clicks_meet_their_pixels():
    height, width = 1500, 3 * SHOWN - 1
    large = Photograph("large", np.zeros((height, width, 3), dtype=np.uint8))
    assert large.block == 3
    assert large.shown.shape == (500, SHOWN, 3)
    shown = large.strongest(edge_map(height, width, 700).thin[0])
    assert shown.shape == (500, SHOWN)
    assert set(np.flatnonzero(shown.any(axis=1))) == {700 // 3}
    assert large.pixel(SHOWN - 1, 499) == (1497, 3 * SHOWN - 3)
    labels = np.ones((height, width), dtype=np.int32)
    assert large.tinted(labels).size == (SHOWN, 500)


def test_weaker_lines_are_left_out():
    image = Photograph("x", np.full((30, 40, 3), 100, dtype=np.uint8))
    found = edge_map(30, 40, 15)
    for threshold, drawn in ((0.0, True), (0.5, True), (0.6, False)):
        _, alone = image.drawn(found, threshold, soft=False)
        assert (np.asarray(alone).max() > 0) == drawn
    _, soft = image.drawn(found, 0.6, soft=True)
    assert np.asarray(soft)[15].min() == 255


def test_a_map_glows_where_it_is_large():
    image = Photograph("x", np.full((40, 60, 3), 100, dtype=np.uint8))
    values = np.zeros((4, 6), dtype=np.float32)
    values[1, 2] = 0.25
    glowing = np.asarray(image.heated(values)).sum(axis=2)
    assert glowing.shape == (40, 60)
    assert (glowing[10:20, 20:30] > 2 * glowing[0, 0]).all()
    assert len(np.unique(glowing)) == 2


def test_too_many_pixels_are_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(photograph, "MOST_PIXELS", 1000)
    Image.new("RGB", (40, 30)).save(tmp_path / "big.png")
    with pytest.raises(ImageError, match=r"big\.png.*smaller"):
        Photograph.open(tmp_path / "big.png")
