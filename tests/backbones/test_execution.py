"""What depends on how a denoiser runs: the order of its layers, and configs with holes in them."""

import json

import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.detector.settings import StudentSettings
from trace_edges.detector.student import Student

ALL = ("sd15", "sd21", "sdxl", "pixart", "pixart-sigma", "sd3", "sd3.5-large", "sd3.5-medium",
       "flux-dev", "flux-schnell", "flux2-dev", "flux2-klein", "qwen-image", "z-image", "lumina2",
       "auraflow", "chroma", "cogview4", "hunyuan-dit")  # fmt: skip


@torch.no_grad()
def order_of_a_pass(backbone, names):
    seen = []
    handles = [
        backbone.denoiser.get_submodule(name).register_forward_pre_hook(
            lambda module, inputs, name=name: seen.append(name)
        )
        for name in names
    ]
    backbone.predict(torch.randn(1, 4, 8, 8), 300)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("kind", ALL)
def test_layers_and_blocks_are_in_the_order_of_a_pass(tiny_model, kind):
    backbone = load_backbone(tiny_model(kind))
    for names in (backbone.layers, backbone.blocks):
        assert len(set(names)) == len(names) > 1
        assert order_of_a_pass(backbone, names) == names


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_the_last_block_of_a_unet_is_the_last_one_on_its_way_up(tiny_model, kind):
    backbone = load_backbone(tiny_model(kind))
    student = Student(backbone, StudentSettings(width=16))
    assert student.blocks[0].startswith("up_blocks.")
    with torch.no_grad(), backbone.grids(torch.randn(1, 4, 8, 8), student.blocks) as grid_of:
        backbone.predict(torch.randn(1, 4, 8, 8), 0)
        assert grid_of(student.blocks[0]) == (8 // backbone.patch,) * 2  # the finest grid


def drop(path, *keys, **values):
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in keys:
        config.pop(key, None)
    path.write_text(json.dumps(config | values), encoding="utf-8")


@pytest.mark.parametrize("written", [None, "absent"])
def test_a_pixart_older_than_use_additional_conditions_is_told_the_size(tiny_model, written):
    """PixArt-XL-2-1024-MS has neither this key nor interpolation_scale, and `sample_size` 128
    (seen in public copies); diffusers then decides by the sample size.
    """
    folder = tiny_model("pixart", sample_size=128, use_additional_conditions=None)
    config = folder / "transformer" / "config.json"
    if written == "absent":
        drop(config, "use_additional_conditions", "interpolation_scale")
    backbone = load_backbone(folder)
    told = []
    backbone.denoiser.register_forward_pre_hook(
        lambda module, args, named: told.append(named["added_cond_kwargs"]), with_kwargs=True
    )
    with torch.no_grad():
        assert backbone.predict(torch.randn(1, 4, 8, 12), 300).isfinite().all()
    assert told[0]["resolution"].tolist() == [[64, 96]]
    assert backbone.defaults.resolution == 1024


@pytest.mark.parametrize(
    ("kind", "written", "resolution"),
    [("sd15", None, 512), ("sdxl", None, 1024), ("sd15", [32, 72], 384), ("sd3", None, 1024)],
)
def test_a_config_without_a_plain_sample_size(tiny_model, kind, written, resolution):
    folder = tiny_model(kind)
    part = "unet" if kind.startswith("sd1") or kind == "sdxl" else "transformer"
    drop(folder / part / "config.json", sample_size=written)
    if kind == "sd3":
        drop(folder / part / "config.json", "sample_size")
    backbone = load_backbone(folder)
    assert backbone.defaults.resolution == resolution


def test_nulls_as_sdxl_has_them(tiny_model):
    folder = tiny_model("sdxl")
    names = ("upcast_attention", "num_attention_heads", "encoder_hid_dim", "time_cond_proj_dim",
             "mid_block_only_cross_attention", "reverse_transformer_layers_per_block")  # fmt: skip
    drop(folder / "unet" / "config.json", **dict.fromkeys(names))
    drop(folder / "vae" / "config.json", latents_mean=None, latents_std=None, shift_factor=None)
    backbone = load_backbone(folder)
    with torch.no_grad():
        output, attention, _ = backbone.attend(torch.randn(1, 4, 8, 12), 300)
    assert output.isfinite().all()
    assert attention.isfinite().all()


def test_no_float64_is_asked_of_a_device_that_has_none_faked_device(tiny_model, monkeypatch):
    """MPS has none: what is on a device must come to the CPU before it is doubled."""
    double, cpu, came = torch.Tensor.double, torch.Tensor.cpu, []

    def fake_cpu(tensor):
        came.append(id(moved := cpu(tensor)))
        keep.append(moved)
        return moved

    def fake_double(tensor):
        if id(tensor) not in came:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return double(tensor)

    keep = []
    backbone = load_backbone(tiny_model("sd15"))
    expected = backbone.fingerprint()
    monkeypatch.setattr(torch.Tensor, "cpu", fake_cpu)
    monkeypatch.setattr(torch.Tensor, "double", fake_double)
    assert backbone.fingerprint() == expected
