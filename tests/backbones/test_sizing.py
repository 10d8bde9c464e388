"""The table of checkpoints against the models themselves at full size, without their weights."""

import pytest
import torch

from benchmarks._shared.costs import empty_backbone, flops
from trace_edges.backbones import CHECKPOINTS, FAMILIES, TRACE_MINI, load_backbone
from trace_edges.backbones.sizing import emptied, memory

# TFLOP that the maps add to a pass at the native size: 2 H N^2 d of every layer.
CAPTURE = {
    "sd15": 0.06,
    "sdxl": 0.38,
    "pixart-alpha": 1.08,
    "sd3.5-large": 3.10,
    "flux-dev": 5.88,
    "flux2-klein-4b": 2.58,
    "qwen-image": 6.18,
    "z-image": 4.12,
    "lumina2": 2.16,
    "auraflow": 3.71,
    "chroma1-hd": 5.88,
    "cogview4": 3.85,
    "hunyuan-dit-1.2": 1.89,
}
_LARGE = ("sdxl", "sd3.5-large", "flux2-klein-4b", "qwen-image", "lumina2", "cogview4")
_MANY_LAYERS = ("qwen-image", "z-image", "chroma1-hd", "hunyuan-dit-1.2")


def _quick(name):
    """One of most families; the others, and those of many layers, with the long tests."""
    quick = name in CAPTURE and name not in _MANY_LAYERS
    return name if quick else pytest.param(name, marks=pytest.mark.long)


def parameters(backbone):
    return sum(parameter.numel() for parameter in backbone.denoiser.parameters())


def square(name):
    return (CHECKPOINTS[name].resolution,) * 2


def test_every_name_is_of_one_family_and_every_family_has_one():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert len(CHECKPOINTS) == sum(len(family.checkpoints) for family in FAMILIES)
    for family in FAMILIES:
        assert {checkpoint.family for checkpoint in family.checkpoints.values()} == {family.name}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_parameters_layers_and_grid_are_as_the_table_says(name):
    checkpoint, backbone = CHECKPOINTS[name], empty_backbone(name)
    assert round(parameters(backbone) / 1e6) == checkpoint.parameters
    assert len(backbone.layers) == checkpoint.layers
    assert backbone.defaults.resolution == checkpoint.resolution
    assert checkpoint.resolution / backbone.cell == checkpoint.grid
    assert backbone.family.name == checkpoint.family


def test_the_row_of_the_embedded_model_is_as_it_is():
    backbone, row = emptied(load_backbone(dtype=torch.bfloat16)), TRACE_MINI
    assert round(parameters(backbone) / 1e6) == row.parameters
    assert len(backbone.layers) == row.layers
    assert flops(backbone, (512, 512)) / 1e12 == pytest.approx(row.tflop, rel=0.02)
    assert memory(backbone, (512, 512)).peak / 2**30 == pytest.approx(row.memory, abs=0.06)


@pytest.mark.parametrize("name", [_quick(name) for name in CHECKPOINTS])
def test_operations_of_a_pass_are_as_the_table_says(name):
    plain = flops(empty_backbone(name), square(name))
    assert plain / 1e12 == pytest.approx(CHECKPOINTS[name].tflop, rel=0.01)


@pytest.mark.long
@pytest.mark.parametrize("name", CAPTURE)
def test_maps_cost_the_product_of_queries_and_keys_once_more(name):
    backbone = empty_backbone(name)
    plain, captured = (flops(backbone, square(name), capture=capture) for capture in (False, True))
    assert (captured - plain) / 1e12 == pytest.approx(CAPTURE[name], abs=0.01)


@pytest.mark.parametrize(
    "name",
    [
        "pixart-alpha-512",
        *(pytest.param(name, marks=pytest.mark.long) for name in _LARGE),
    ],
)
def test_memory_is_as_the_table_says(name):
    needed = memory(empty_backbone(name), square(name)).peak
    assert needed / 2**30 == pytest.approx(CHECKPOINTS[name].memory, abs=0.06)


def test_a_step_holds_two_maps_and_what_they_are_made_from(tiny_model):
    backbone = load_backbone(tiny_model("flux-dev")).to("meta")
    small, large, batch = (
        memory(backbone, size, images).step
        for size, images in (((256, 384), 1), ((512, 768), 1), ((512, 768), 2))
    )
    maps = 4 * (32 * 48) ** 2  # bytes of one, at 512 x 768 px
    # At its peak: the map before, the sum over layers, and one head's before and after softmax.
    assert 3 * maps < large < 5 * maps
    assert 10 < large / small < 16  # four times the tokens
    assert batch == pytest.approx(2 * large, rel=0.1)


def test_memory_is_weights_and_the_larger_of_encoding_and_step(tiny_model):
    backbone = load_backbone(tiny_model("sd3")).to("meta")
    found = memory(backbone, (64, 96))
    tensors = [
        tensor
        for model in (backbone.denoiser, backbone.vae)
        for tensor in [*model.parameters(), *model.buffers()]
    ]
    assert found.weights == sum(t.numel() * t.element_size() for t in tensors)
    assert found.encoding > 4 * 16 * 64 * 96  # the first feature map of the VAE
    assert found.peak == found.weights + max(found.encoding, found.step)


def test_a_larger_number_type_takes_more(tiny_model):
    half, single = (
        memory(load_backbone(tiny_model("sdxl"), dtype=dtype).to("meta"), (64, 64)).weights
        for dtype in (torch.bfloat16, torch.float32)
    )
    assert single == 2 * half


def test_the_vae_of_sdxl_keeps_float32_beside_float16():
    backbone = empty_backbone("sdxl", torch.float16)
    assert backbone.dtype == torch.float16
    assert next(backbone.vae.parameters()).dtype == torch.float32
