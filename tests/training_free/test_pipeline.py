"""The pipeline from the picture to its edges, with the embedded model at a small size."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from trace_edges.attention import RecorderError
from trace_edges.images import ImageError, load_image, resize_image, to_tensor
from trace_edges.results import EdgeMap
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import map_change
from trace_edges.training_free.pipeline import TraceEdgePipeline, TraceSettings
from trace_edges.training_free.settings import visited_steps
from trace_edges.training_free.trajectory import read_trajectory

ROOT = Path(__file__).parents[2]
FAST = TraceSettings(resolution=64, subcell=1, stride=250)  # steps 0, 249, 499, 749, 999
STEPS = [0, 249, 499, 749, 999]


@pytest.fixture(scope="module")
def pipe(trace_mini):
    return TraceEdgePipeline(trace_mini)


def picture(height=40, width=56, seed=0):
    """A bright disc on a gradient, with some noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    centre = random.uniform(0.3, 0.7, 2) * (height, width)
    disc = np.hypot(rows - centre[0], columns - centre[1]) < min(height, width) / 4
    values = 60 * columns / width + 120 * disc + random.uniform(0, 20, (height, width))
    return np.stack([values, 0.8 * values, 200 - values], axis=-1).astype(np.uint8)


def assert_equal(one, other, tolerance=0.0):
    for name in ("edges", "raw"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), 0, tolerance)
    np.testing.assert_allclose(one.emergence.curve, other.emergence.curve, 0, tolerance)
    assert np.array_equal(one.emergence.timestep, other.emergence.timestep)
    if not tolerance:
        assert np.array_equal(one.ridges, other.ridges)


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


def test_many_images_share_passes_of_bounded_size(pipe, passes, monkeypatch):
    """Nine images in batches of at most four; whatever the batch, each is what it is alone."""
    pictures = [picture(seed=n) for n in range(9)]
    sizes, encode = [], pipe.backbone.encode

    def counted(images):
        sizes.append(len(images))
        return encode(images)

    monkeypatch.setattr(pipe.backbone, "encode", counted)
    settings = replace(FAST, timestep=0)
    by_itself = pipe(pictures, settings)
    assert sizes == [4, 4, 1]
    sizes.clear()
    singly = pipe(pictures, settings, batch_size=1)
    assert sizes == [1] * 9
    assert_equal(by_itself, singly, tolerance=1e-4)
    assert len(pipe(np.stack(pictures), settings, batch_size=5)) == 9  # a batch as one array
    assert sizes == [1] * 9 + [5, 4]
    with pytest.raises(ValueError, match="batch_size must be 1 or more, not 0"):
        pipe(pictures, settings, batch_size=0)


def test_a_batch_is_its_images_one_by_one(pipe):
    pictures = [picture(seed=1), picture(seed=2)]
    both = pipe(pictures, FAST)
    assert len(both) == 2
    for index, one in enumerate(pictures):
        assert_equal(both[index], pipe(one, FAST), tolerance=1e-4)
    assert np.abs(both.edges[0] - both.edges[1]).max() > 0.1  # they are not one image


def test_the_same_call_twice_is_bit_identical(pipe):
    for trajectory in ("inversion", "noise"):
        first, second = (pipe(picture(), FAST, trajectory=trajectory) for _ in range(2))
        assert_equal(first, second)


def test_each_yields_pictures_of_all_sizes_in_order(pipe):
    sizes = [(40, 56), (40, 57), (56, 40), (40, 56)]  # the first two look alike to the model
    pictures = [picture(*size, seed=n) for n, size in enumerate(sizes)]
    for batch_size in (1, 2):
        results = list(pipe.each(iter(pictures), FAST, batch_size=batch_size))
        assert [out.edges.shape for out in results] == [(1, *size) for size in sizes]
        for out, one in zip(results, pictures, strict=True):
            assert_equal(out, pipe(one, FAST), tolerance=1e-4)


def test_each_reads_an_image_when_its_turn_comes(pipe, tmp_path):
    outputs = pipe.each([picture(), tmp_path / "lost.png"], FAST)
    assert next(outputs).edges.shape == (1, 40, 56)
    with pytest.raises(ImageError, match=r"lost\.png: there is no such file"):
        next(outputs)


def test_several_sizes_in_one_array_are_refused(pipe):
    with pytest.raises(ValueError, match=r"have 2 sizes .* iterate over pipe\.each") as caught:
        pipe([picture(40, 56), picture(40, 48)], FAST)
    assert "\n" not in str(caught.value)


@pytest.fixture
def passes(pipe, monkeypatch):
    """What runs: ("plain" | "captured", timestep) of every pass of the denoiser."""
    seen = []
    predict, attend = pipe.backbone.predict, pipe.backbone.attend

    def plain(latents, timestep):
        seen.append(("plain", timestep))
        return predict(latents, timestep)

    def captured(latents, timestep):
        found = attend(latents, timestep)
        seen[-1] = ("captured", timestep)  # which made a plain pass within
        return found

    monkeypatch.setattr(pipe.backbone, "predict", plain)
    monkeypatch.setattr(pipe.backbone, "attend", captured)
    return seen


@pytest.mark.parametrize(("timestep", "before"), [(0, []), (249, [0]), (300, [0, 249])])
def test_steps_before_a_fixed_one_are_gone_through_without_capture(pipe, passes, timestep, before):
    told = []
    out = pipe(picture(), FAST, timestep=timestep, on_step=lambda step: told.append(step.timestep))
    assert passes == [*(("plain", step) for step in before), ("captured", timestep)]
    assert told == out.emergence.timesteps.tolist() == out.emergence.timestep.tolist() == [timestep]
    assert out.emergence.curve.shape == (1, 0)
    assert out.settings["timestep"] == timestep


def test_a_fixed_step_captures_once_a_view(pipe, passes):
    pipe(picture(), FAST, timestep=249, subcell=2)
    assert passes == 4 * [("plain", 0), ("captured", 249)]


@pytest.mark.parametrize("timestep", [249, 300])
def test_a_step_is_read_alike_with_and_without_those_before_it(pipe, timestep):
    """To the byte: what a plain pass computes is what a recorded one does."""
    out = pipe(picture(), FAST, timestep=timestep)
    prepared = pipe.prepare(picture(), FAST)
    view = to_tensor(resize_image(prepared.image, prepared.size))[None]
    steps = visited_steps(pipe.backbone, replace(FAST, timestep=timestep))
    whole = read_trajectory(pipe.backbone, view, steps)  # every step captured
    assert out.raw.tobytes() == whole.divergence[-1].numpy().tobytes()


def test_with_noise_a_fixed_timestep_needs_no_other(pipe, passes):
    out = pipe(picture(), FAST, timestep=300, trajectory="noise")
    assert passes == [("captured", 300)]
    assert out.emergence.timesteps.tolist() == out.emergence.timestep.tolist() == [300]


@pytest.mark.parametrize("timestep", [-1, 1000])
def test_a_timestep_outside_the_schedule_is_refused(pipe, timestep):
    with pytest.raises(ValueError, match=rf"timestep {timestep} is outside 0 \.\. 999"):
        pipe(picture(), FAST, timestep=timestep)


@pytest.mark.parametrize("timestep", [None, 249])
def test_raw_is_the_divergence_of_the_attention_at_that_step(pipe, timestep):
    maps = {}

    def keep(step):
        maps[step.timestep] = boundary_divergence(step.attention, step.grid)[0].numpy()

    out = pipe(picture(), FAST, timestep=timestep, on_step=keep)
    assert np.array_equal(out.raw[0], maps[int(out.emergence.timestep[0])])


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


def test_shifted_views_are_read_at_the_emergence_point_only(pipe, monkeypatch):
    visited = []
    plain = pipe.backbone.attend

    def attend(latents, timestep):
        visited.append(timestep)
        return plain(latents, timestep)

    monkeypatch.setattr(pipe.backbone, "attend", attend)
    seen = []
    out = pipe(picture(), FAST, subcell=2, on_step=lambda step: seen.append(step.timestep))
    assert seen == STEPS  # of the unshifted view only
    assert visited == STEPS + 3 * out.emergence.timestep.tolist()


def test_a_refinement_that_does_not_divide_the_cell_is_refused(pipe):
    with pytest.raises(ValueError, match="subcell=3 does not divide the cell of 8 px"):
        pipe(picture(), FAST, subcell=3)


def test_the_noise_trajectory_depends_on_its_seed(pipe):
    first, other = (pipe(picture(), FAST, trajectory="noise", seed=seed) for seed in (0, 1))
    assert first.edges.shape == (1, 40, 56)
    assert first.emergence.timesteps.tolist() == STEPS
    assert not np.allclose(first.emergence.curve, other.emergence.curve, rtol=1e-3)


def test_t_star_found_on_a_coarser_grid_gives_the_edges_of_that_step(pipe):
    """The curve is the one of the small picture; the edges those of a walk to t* at full size."""
    image = picture(60, 84)
    out = pipe(image, FAST, resolution=96, emergence_resolution=48)
    timestep = int(out.emergence.timestep[0])
    small = pipe(resize_image(image, (40, 56)), FAST, resolution=48)
    assert out.settings["model_size"] == [80, 112]
    assert out.emergence.timesteps.tolist() == STEPS
    assert timestep == STEPS[out.emergence.curve[0].argmax() + 1]
    np.testing.assert_allclose(out.emergence.curve, small.emergence.curve, rtol=0.1)
    asked = pipe(image, FAST, resolution=96, timestep=timestep)
    assert np.array_equal(out.raw, asked.raw)
    assert np.array_equal(out.ridges, asked.ridges)


def test_a_larger_emergence_resolution_is_the_papers_one_grid(pipe):
    papers = pipe(picture(), FAST, resolution=64, emergence_resolution=64)
    assert_equal(pipe(picture(), FAST, resolution=64, emergence_resolution=1000), papers)
    assert papers.settings["emergence_resolution"] == 64


def test_batches_do_not_change_what_a_coarser_grid_finds(pipe):
    """Pictures of one size to the model may differ in shape, and still share the coarse size."""
    pictures = [picture(96, 131, seed=1), picture(96, 136, seed=2)]
    settings = replace(FAST, resolution=96, emergence_resolution=56)
    batched = list(pipe.each(pictures, settings, batch_size=2))
    for one, result in zip(pictures, batched, strict=True):
        assert_equal(result, pipe(one, settings), tolerance=1e-4)


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


@pytest.mark.parametrize("criterion", ["l1", "l2", "entropy", "wasserstein"])
def test_the_curve_is_measured_by_the_criterion(pipe, criterion):
    steps = []
    out = pipe(picture(), FAST, criterion=criterion, ignore_first=1, on_step=steps.append)
    expected = [
        map_change(before.attention, after.attention, after.grid, criterion).item()
        for before, after in pairwise(steps)
    ]
    assert out.emergence.curve[0].tolist() == expected
    assert out.emergence.timestep[0] == STEPS[np.argmax(expected[1:]) + 2]
    assert out.settings["criterion"] == criterion
    assert out.settings["ignore_first"] == 1


def test_ignoring_every_change_is_refused_before_walking(pipe, monkeypatch):
    monkeypatch.setattr(pipe.backbone, "attend", None)
    with pytest.raises(ValueError, match=r"stride 250 gives 5 steps, .* with ignore_first=4"):
        pipe(picture(), FAST, ignore_first=4)


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
