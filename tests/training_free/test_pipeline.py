"""The pipeline from the picture to its edges, with the embedded model at a small size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from trace_edges.attention import RecorderError
from trace_edges.images import load_image, resize_image, to_tensor
from trace_edges.results import EdgeMap
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.trajectory import read_trajectory

from .small import FAST, STEPS, assert_equal, picture

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("size", "grid"), [((37, 91), (5, 13)), ((91, 37), (13, 5)), ((64, 64), (8, 8))]
)
def test_edges_have_the_size_of_the_input(pipe, size, grid):
    out = pipe(picture(*size), FAST)
    assert isinstance(out, EdgeMap)
    assert out.edges.shape == out.ridges.shape == out.thin.shape == (1, *size)
    assert out.edges.dtype == np.float32
    assert out.edges.min() >= 0
    assert 0.1 < out.edges.max() <= 1
    assert out.ridges.any()
    assert not out.ridges.all()
    assert out.raw.shape == (1, *grid)
    assert out.raw.min() >= 0
    assert out.emergence.timesteps.tolist() == STEPS
    assert out.emergence.curve.shape == (1, 4)
    assert out.emergence.timestep[0] == STEPS[out.emergence.curve[0].argmax() + 1]


def test_a_transposed_picture_keeps_its_strong_edges(pipe):
    """No row-column mix-up on the way: the map of the turned picture is nearly the turned map."""
    straight = pipe(picture(48, 80), FAST).edges[0]
    turned = pipe(picture(48, 80).swapaxes(0, 1).copy(), FAST).edges[0].T
    assert np.corrcoef(straight.ravel(), turned.ravel())[0, 1] > 0.7


def test_the_same_call_twice_is_bit_identical(pipe):
    for trajectory in ("inversion", "noise"):
        first, second = (pipe(picture(), FAST, trajectory=trajectory) for _ in range(2))
        assert_equal(first, second)


def test_refined_samples_come_from_the_shifted_views(pipe):
    out = pipe(picture(), FAST, subcell=2, timestep=249)
    height, width = pipe.prepare(picture(), FAST).size
    assert out.settings["model_size"] == [height, width]
    assert out.raw.shape == (1, 2 * height // 8, 2 * width // 8)
    larger = to_tensor(resize_image(picture(), (height + 4, width + 4)))
    for row in (0, 1):
        for column in (0, 1):
            view = larger[None, :, 4 * row :, 4 * column :][..., :height, :width]
            expected = read_trajectory(pipe.backbone, view, (0, 249)).divergence[-1]
            np.testing.assert_allclose(out.raw[:, row::2, column::2], expected, atol=1e-5)


def test_a_refinement_that_does_not_divide_the_cell_is_refused(pipe):
    with pytest.raises(ValueError, match="subcell=3 does not divide the cell of 8 px"):
        pipe(picture(), FAST, subcell=3)


def test_the_noise_trajectory_depends_on_its_seed(pipe):
    first, other = (pipe(picture(), FAST, trajectory="noise", seed=seed) for seed in (0, 1))
    assert first.edges.shape == (1, 40, 56)
    assert first.emergence.timesteps.tolist() == STEPS
    assert not np.allclose(first.emergence.curve, other.emergence.curve, rtol=1e-3)


def test_settings_are_recorded_with_the_backbones_own(pipe, tmp_path):
    out = pipe(picture(), resolution=64, timestep=0, seed=7, layers=(3, 0))
    expected = {"method": "training-free", "backbone": "trace-mini",
                "resolution": 64, "emergence_resolution": 64,
                "subcell": 1, "timestep": 0, "seed": 7,
                "stride": 100, "trajectory": "inversion", "dtype": "float32", "half_edge": 1.0,
                "criterion": "kl", "ignore_first": 0, "neighbours": 4, "symmetric": False,
                "shift": None, "null": None, "revision": None, "quantize": None,
                "vae_tiling": None, "border": "scale", "layers": [3, 0],
                "model_size": [56, 72], "grid": [7, 9]}  # fmt: skip
    assert out.settings == expected
    out.save(tmp_path / "out.npz")
    assert EdgeMap.load(tmp_path / "out.npz").settings == expected  # plain JSON values


def test_divergence_is_read_as_the_settings_say(pipe):
    options = {"neighbours": 8, "symmetric": True, "border": "copy"}
    steps = []
    out = pipe(picture(), FAST, timestep=249, on_step=steps.append, **options)
    expected = boundary_divergence(steps[-1].attention, steps[-1].grid, **options)
    assert np.array_equal(out.raw, expected.numpy())
    assert options.items() <= out.settings.items()


def test_layers_are_averaged_as_chosen(pipe):
    def attention(layers):
        steps = []
        pipe(picture(), FAST, timestep=249, layers=layers, on_step=steps.append)
        return steps[-1].attention

    both, one, other = attention((2, 5)), attention((2,)), attention((5,))
    torch.testing.assert_close(both, (one + other) / 2)
    assert not torch.allclose(one, other, rtol=0.1)
    assert torch.equal(attention(tuple(range(14))), attention(None))


def test_edges_are_the_divergence_over_itself_plus_half_an_edge(pipe):
    """At the middle of a cell the spline passes through the sample: 56 px in 7 cells of 8 px
    would put it between pixels, so the picture has cells of 5 px."""
    out = pipe(picture(7 * 5, 9 * 5), FAST, resolution=64)
    assert out.raw.shape == (1, 7, 9)
    expected = out.raw / (out.raw + 1.0)
    np.testing.assert_allclose(out.edges[:, 2::5, 2::5], expected, atol=1e-5)


def test_a_layer_out_of_sight_is_an_error_not_a_poorer_map(tiny_pixart):
    from diffusers.models.attention_processor import AttnProcessor

    pipe = TraceEdgePipeline.from_pretrained(tiny_pixart())
    assert pipe(picture(), FAST).raw.shape == (1, 3, 5)  # cells of 16 px
    pipe.backbone.denoiser.transformer_blocks[1].attn1.set_processor(AttnProcessor())
    with pytest.raises(RecorderError, match=r"transformer_blocks\.1\.attn1"):
        pipe(picture(), FAST)


def test_coins_are_what_they_were(pipe):
    """The whole method on a photograph, against what the package gave when the test was written.

    To renew the stored answer after a change that is meant: save `edges` and `curve` as below.
    """
    out = pipe(load_image(ROOT / "examples" / "coins.png"), resolution=128, subcell=1)
    height, width = (side // 16 for side in out.edges.shape[1:])
    whole = torch.from_numpy(out.edges[:, : 16 * height, : 16 * width])
    edges = torch.nn.functional.avg_pool2d(whole, (height, width))[0].numpy()  # (16, 16)
    with np.load(Path(__file__).parent / "golden" / "coins.npz") as golden:
        np.testing.assert_allclose(edges, golden["edges"], rtol=0, atol=2e-3)
        np.testing.assert_allclose(out.emergence.curve[0], golden["curve"], rtol=0.02)
        assert out.emergence.timestep[0] == golden["timestep"]
