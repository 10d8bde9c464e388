"""Encoders that are found, and what is refused in one line."""

import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

from trace_edges.backbones import (
    BackboneError,
    fitting,
    load_backbone,
    load_encoder,
    open_backbone,
    sizing,
)
from trace_edges.backbones.encoders.loading import is_encoder
from trace_edges.backbones.sizing import memory
from trace_edges.training_free.pipeline import TraceEdgePipeline

from .tiny import PICTURE


def test_a_tower_that_lacks_weights_is_refused(saved):
    folder = saved("llava")
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: t for name, t in tensors.items() if "layers.1" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"lacks weights of its vision tower \(first: "):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("option", "value"),
    [("trajectory", "noise"), ("stride", 50), ("timestep", 0), ("seed", 1),
     ("emergence_resolution", 32), ("criterion", "l2"), ("ignore_first", 1)],
)  # fmt: skip
def test_what_only_a_trajectory_has_is_refused(saved, option, value):
    pipe = TraceEdgePipeline.from_pretrained(saved("vit"))
    with pytest.raises(
        ValueError, match=f"makes a single pass without noise: leave out {option[:5]}"
    ):
        pipe(PICTURE, **{option: value})


def test_a_diffusion_folder_is_none_and_an_encoder_is(saved, tiny_model):
    assert is_encoder(saved("dinov2"))
    assert not is_encoder(tiny_model("sd15"))
    assert is_encoder("dinov3-base")
    assert not is_encoder("sd3.5-large")
    with pytest.raises(BackboneError, match="is not a diffusion model: leave null out"):
        open_backbone(saved("dinov2"), null="zeros")


def test_other_kinds_are_refused_in_one_line(tmp_path):
    config = transformers.SwinConfig(embed_dim=12, depths=[1], num_heads=[2], image_size=32)
    transformers.SwinModel(config).save_pretrained(tmp_path)
    with pytest.raises(
        BackboneError, match="model_type is 'swin', whose attention cannot"
    ) as caught:
        open_backbone(tmp_path)
    assert "\n" not in str(caught.value)


def test_offline_a_name_that_is_not_here_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("dinov2-base", "qwen2.5-vl-7b", "nobody/nothing"):
        with pytest.raises(BackboneError, match=f"'{name}'.* is not in the local cache") as caught:
            open_backbone(name, local_files_only=True)
        assert "\n" not in str(caught.value)


def test_a_repository_in_the_cache_is_read_offline(tmp_path, monkeypatch, saved):
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    folder = cache / "models--someone--vit" / "snapshots" / ("0" * 40)
    shutil.copytree(saved("vit"), folder)
    (folder.parent.parent / "refs").mkdir()
    (folder.parent.parent / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    assert is_encoder("someone/vit", local_files_only=True)


@pytest.mark.parametrize("offloaded", [False, True])
def test_out_of_memory_says_which_resolution_would_fit_faked_device(
    saved, kind, monkeypatch, offloaded
):
    """The device is a stand-in: the pass fails, and its memory is what 96 px need."""
    pipe = TraceEdgePipeline.from_pretrained(saved(kind))
    if offloaded:
        pipe.enable_model_cpu_offload("cpu")
    weights = {name: tensor.clone() for name, tensor in pipe.backbone.model.state_dict().items()}
    needed = [memory(sizing.emptied(pipe.backbone), (side, side)) for side in (96, 128)]
    model = pipe.backbone.model
    assert needed[0].weights == sum(t.nbytes for t in [*model.parameters(), *model.buffers()])
    tokens = (96 // pipe.backbone.cell) ** 2
    assert needed[0].peak - needed[0].weights > 4 * tokens**2  # the map is among it
    assert needed[0].peak < needed[1].peak
    halfway = (needed[0].peak + needed[1].peak) // 2
    monkeypatch.setattr(fitting, "available_memory", lambda device: int(halfway / 0.9))

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(pipe, "_read", full)
    with pytest.raises(BackboneError, match=r"at 192 x 192 px .*: a resolution of 64 would fit$"):
        pipe(np.zeros((192, 192, 3), np.uint8), resolution=192)
    monkeypatch.setattr(fitting, "available_memory", lambda device: 1000)
    with pytest.raises(BackboneError, match="its weights alone take"):
        pipe(np.zeros((192, 192, 3), np.uint8), resolution=192)
    for name, tensor in pipe.backbone.model.state_dict().items():
        assert torch.equal(tensor, weights[name])  # where they were


def test_a_name_that_is_like_one_is_asked_about():
    for wrong, meant in {
        "DINOv2": "dinov2-small or dinov2-base or dinov2-large",
        "sd3.5-larg": "sd3.5-large",
        "flux_dev": "flux-dev",
        "trace_mini": "trace-mini",
    }.items():
        with pytest.raises(BackboneError, match=rf"(owner/name).*; did you mean {meant}") as caught:
            open_backbone(wrong)
        assert "`trace-edges backbones` prints" in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(BackboneError, match=r"hub id \(owner/name\)$"):
        open_backbone("qwertyuiop")
    with pytest.raises(BackboneError, match=r"'dino' is neither.*did you mean dino-vitb8 or"):
        load_encoder("dino")
    with pytest.raises(BackboneError, match="'dinov2-base' is an encoder: here it must be a diff"):
        load_backbone("dinov2-base")
