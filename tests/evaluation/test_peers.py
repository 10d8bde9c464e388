import numpy as np
import pytest
from PIL import Image
from skimage.feature import canny

from trace_edges.evaluation.peers import LEVELS, SIGMA, canny_edges, draw_peer, sobel_edges

detectors = pytest.mark.parametrize("detect", [canny_edges, sobel_edges])


def steps():
    """A weak step at column 20 and a strong one at column 40."""
    image = np.full((40, 60), 0.2)
    image[:, 20:] = 0.25
    image[:, 40:] = 0.95
    return image


@detectors
def test_a_flat_image_has_no_edge(detect):
    assert detect(np.full((20, 30), 0.4)).max() < 1e-9


@detectors
def test_strength_rises_with_contrast_and_lies_at_the_step(detect):
    edges = detect(steps())
    assert edges.dtype == np.float32
    assert edges.shape == (40, 60)
    assert edges.min() >= 0
    assert edges.max() <= 1
    row = edges[20]
    assert 0 < row[18:22].max() < row[38:42].max()
    assert not row[26:34].any()


@detectors
def test_the_scale_is_the_same_for_every_image(detect):
    alone = steps()
    alone[:, 40:] = 0.25
    np.testing.assert_allclose(detect(alone)[:, :30], detect(steps())[:, :30], atol=1e-6)


@detectors
def test_grey_colour_and_integer_images_agree(detect):
    eight = np.round(steps() * 255).astype(np.uint8)
    expected = detect(eight / 255)
    assert expected.any()
    np.testing.assert_array_equal(detect(eight), expected)
    np.testing.assert_allclose(detect(np.stack([eight] * 3, axis=-1)), expected, atol=1e-6)


def test_canny_at_a_grade_is_canny_at_its_threshold():
    rng = np.random.default_rng(0)
    image = np.clip(steps() + 0.1 * rng.standard_normal((40, 60)), 0, 1)
    strength = canny_edges(image)
    for k in (3, 12, 20):
        high = LEVELS[k - 1]
        expected = canny(image, sigma=SIGMA, low_threshold=0.4 * high, high_threshold=high)
        np.testing.assert_array_equal(strength > (k - 0.5) / 25, expected)
    assert len(np.unique(strength)) > 5


@detectors
def test_bad_input_is_named(detect):
    with pytest.raises(ValueError, match=r"not \(9, 9, 4\)"):
        detect(np.zeros((9, 9, 4)))
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        detect(np.full((9, 9), 255.0))


def test_peers_are_drawn_once(tmp_path, squares):
    image = tmp_path / "a.png"
    Image.fromarray(np.kron(squares(0), np.ones((2, 2))).astype(np.uint8) * 100).save(image)
    broken = tmp_path / "b.png"
    broken.write_text("no picture", encoding="utf-8")
    out = tmp_path / "canny"
    problems = draw_peer("canny", {"a": image, "b": broken}, out)
    assert list(problems) == ["b"]
    assert "b.png" in problems["b"]
    drawn = np.asarray(Image.open(out / "a.png"))
    expected = canny_edges(np.stack([np.asarray(Image.open(image))] * 3, axis=-1))
    np.testing.assert_array_equal(drawn, np.rint(expected * 255))
    before = (out / "a.png").stat().st_mtime_ns
    draw_peer("canny", {"a": image}, out)
    assert (out / "a.png").stat().st_mtime_ns == before


def test_an_unknown_peer_is_refused(tmp_path):
    with pytest.raises(ValueError, match="canny, sobel, felzenszwalb"):
        draw_peer("hed", {}, tmp_path)
