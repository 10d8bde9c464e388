"""Less memory, equal maps: models that are moved, VAEs in tiles, VAEs that keep float32."""

import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.images import to_tensor
from trace_edges.training_free.pipeline import TraceEdgePipeline


def test_offloading_gives_the_same_maps(tiny_model):
    """To the CPU itself, since there may be no other device: the hooks are there and are used."""
    image = to_tensor((torch.rand(64, 96, 3) * 255).byte().numpy())[None]
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("sdxl"))
    plain = pipe.backbone.attend(pipe.backbone.encode(image), 300)
    assert pipe.enable_model_cpu_offload("cpu") is pipe
    assert hasattr(pipe.backbone.denoiser, "_hf_hook")
    assert hasattr(pipe.backbone.vae, "_hf_hook")
    again = pipe.backbone.attend(pipe.backbone.encode(image), 300)
    assert torch.equal(plain[0], again[0])
    assert torch.equal(plain[1], again[1])


def test_an_offloaded_model_runs_where_it_is_moved_to(tiny_model):
    backbone = load_backbone(tiny_model("sd3")).enable_model_cpu_offload("meta")
    assert next(backbone.denoiser.parameters()).device.type == "cpu"
    assert backbone.device.type == "meta"
    # Each lets the other go before it comes.
    assert backbone.vae._hf_hook.prev_module_hook.model is backbone.denoiser
    assert backbone.denoiser._hf_hook.prev_module_hook.model is backbone.vae


def test_tiles_of_the_vae_are_small(tiny_model):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("pixart"))
    seen = []
    pipe.backbone.vae.encoder.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].shape[-2:])
    )
    image = torch.rand(1, 3, 64, 96)
    pipe.backbone.encode(image)
    assert seen == [(64, 96)]
    seen.clear()
    assert pipe.enable_vae_tiling() is pipe
    pipe.backbone.encode(image)
    assert len(seen) > 1
    assert max(seen) < (64, 64)


@pytest.mark.parametrize("family", ["sdxl", "auraflow"])
def test_the_vae_of_sdxl_keeps_float32(tiny_model, family):
    half = load_backbone(tiny_model(family), dtype=torch.float16)
    assert half.dtype == torch.float16
    weight = next(half.vae.parameters())
    assert weight.dtype == torch.float32
    assert not torch.equal(weight, weight.half().float())  # and was never rounded
    other = load_backbone(tiny_model("sd15"), dtype=torch.float16)
    assert next(other.vae.parameters()).dtype == torch.float16
