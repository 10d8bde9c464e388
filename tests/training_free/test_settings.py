"""Settings that cannot be meant are refused in one line that names them."""

import pytest

from trace_edges.training_free.settings import TraceSettings, attention_only


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 0}, "resolution must be 1 or more, not 0"),
        ({"stride": None}, "stride must be an integer, not None"),
        ({"subcell": 1.5}, "subcell must be an integer, not 1.5"),
        ({"timestep": "99"}, "timestep must be an integer, not '99'"),
        ({"ignore_first": -1}, "ignore_first must be 0 or more, not -1"),
        ({"ignore_first": True}, "ignore_first must be an integer, not True"),
        ({"criterion": "KL"}, "unknown criterion 'KL'; known: kl, l1, l2, entropy, wasserstein"),
        ({"trajectory": "ddim"}, "unknown trajectory 'ddim'; known: inversion, noise"),
        ({"neighbours": 6}, "unknown neighbours 6; known: 4, 8"),
        ({"symmetric": "no"}, "unknown symmetric 'no'; known: False, True"),
        ({"border": "pad"}, "unknown border 'pad'; known: scale, copy"),
        ({"layers": ()}, r"layers must be a tuple of different numbers such as (0, 5), not ()"),
        ({"layers": (1, 1)}, "layers must be a tuple of different numbers"),
        ({"layers": (-1,)}, "layers must be a tuple of different numbers"),
        ({"shift": "3"}, "shift must be a number, not '3'"),
        ({"shift": 0}, "shift must be more than 0 and finite, not 0"),
        ({"shift": float("nan")}, "shift must be more than 0 and finite, not nan"),
        ({"layers": 3}, "layers must be a tuple of different numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        TraceSettings(**changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_options_of_the_divergence():
    settings = TraceSettings(neighbours=8, border="copy")
    assert settings.divergence == {"neighbours": 8, "symmetric": False, "border": "copy"}


@pytest.mark.parametrize(
    ("resolution", "emergence", "expected"), [(512, 128, 256), (512, 384, 384), (512, 512, 512)]
)
def test_the_grid_is_that_of_t_star_or_of_half_the_resolution(resolution, emergence, expected):
    described = {"resolution": resolution, "emergence_resolution": emergence}
    chosen = attention_only(TraceSettings(subcell=2), described)
    assert (chosen.resolution, chosen.subcell) == (expected, 1)
