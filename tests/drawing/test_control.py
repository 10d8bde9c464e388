"""Images that steer a diffusion model: white on black, at full contrast whatever the strengths."""

import numpy as np
import pytest

from trace_edges.drawing.control import control_image


def edges(strong=0.4, weak=0.1):
    """A strong vertical line, a weak one, and the smooth map around both."""
    columns = np.arange(60)
    profile = strong * np.exp(-((columns - 20) ** 2) / 8) + weak * np.exp(
        -((columns - 40) ** 2) / 8
    )
    soft = np.tile(profile.astype(np.float32), (40, 1))
    thin = np.where(np.isin(columns, (20, 40)), soft, np.float32(0))
    return soft, thin


@pytest.mark.parametrize("strong", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("style", ["thin", "soft", "scribble"])
def test_the_strongest_lines_are_white_whatever_their_strength(strong, style):
    drawn = np.asarray(control_image(*edges(strong, strong / 20), style))
    assert drawn.shape == (40, 60, 3)
    assert drawn.dtype == np.uint8
    assert (drawn[:, 20] == 255).all()
    assert (drawn[:, [0, 30, 59]] == 0).all()


def test_styles_differ_in_width_and_greys():
    thin, soft, scribble = (
        np.asarray(control_image(*edges(), style))[5, :, 0]
        for style in ("thin", "soft", "scribble")
    )
    assert np.count_nonzero(thin[10:31]) == 3  # a line of less than two px, antialiased
    assert np.count_nonzero(soft[10:31]) > np.count_nonzero(thin[10:31])
    assert np.count_nonzero(scribble[10:31] == 255) >= 3
    assert 0 < thin[40] < 128  # weak
    assert scribble[40] == 0


def test_without_an_edge_all_is_black():
    flat = np.full((30, 30), 0.01, dtype=np.float32)
    nothing = np.zeros_like(flat)
    for style in ("thin", "soft", "scribble"):
        assert not np.asarray(control_image(flat, nothing, style)).any()


def test_the_shorter_side_is_as_asked():
    assert control_image(*edges(), shorter=80).size == (120, 80)


def test_an_unknown_style_is_refused():
    with pytest.raises(ValueError, match="thin, soft, scribble"):
        control_image(*edges(), "lineart")
