"""The embedded model in plain PyTorch is diffusers' own: the encoder to 1e-5, the rest exactly."""

from shutil import copytree

import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.backbones.checkpoints import embedded_folder
from trace_edges.backbones.embedded import read_embedded
from trace_edges.training_free.pipeline import TraceEdgePipeline


@pytest.fixture(scope="module")
def of_diffusers(tmp_path_factory):
    """Of a folder, which diffusers reads."""
    folder = tmp_path_factory.mktemp("model") / "trace-mini"
    return load_backbone(copytree(embedded_folder(), folder))


def test_it_is_plain_pytorch_and_the_same_model(trace_mini, of_diffusers):
    assert type(trace_mini.denoiser).__module__.startswith("trace_edges.")
    assert type(of_diffusers.denoiser).__module__.startswith("diffusers.")
    for one, other in zip(trace_mini.models, of_diffusers.models, strict=True):
        theirs = other.state_dict()
        assert list(one.state_dict()) == list(theirs)
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())
        for name, value in one.config.items():
            assert name.startswith("_") or other.config[name] == value
    assert trace_mini.fingerprint() == of_diffusers.fingerprint()
    assert trace_mini.layers == of_diffusers.layers
    assert trace_mini.defaults == of_diffusers.defaults
    assert torch.equal(trace_mini.schedule.levels, of_diffusers.schedule.levels)


@pytest.mark.parametrize("size", [(256, 256), (48, 80)])
@torch.inference_mode()
def test_outputs_are_equal(size, trace_mini, of_diffusers):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = of_diffusers.encode(images)
    # Sums are made in another order: channels lie side by side.
    torch.testing.assert_close(trace_mini.encode(images), latents, rtol=0, atol=1e-5)
    assert torch.equal(trace_mini.decode(latents), of_diffusers.decode(latents))
    for timestep in (0, 999):
        mine, mine_map, _ = trace_mini.attend(latents, timestep)
        theirs, their_map, _ = of_diffusers.attend(latents, timestep)
        assert torch.equal(mine, theirs)
        assert torch.equal(mine_map, their_map)


@torch.inference_mode()
def test_half_precision_is_equal_too(of_diffusers):
    latents = torch.randn(1, 16, 6, 10, generator=torch.Generator().manual_seed(1))
    folder = of_diffusers.name
    theirs = load_backbone(folder, dtype=torch.bfloat16)
    assert torch.equal(read_embedded(torch.bfloat16).predict(latents, 99),
                       theirs.predict(latents, 99))  # fmt: skip


def test_checkpointing_gives_the_same_gradients():
    gradients = []
    for checkpointing in (False, True):
        backbone = read_embedded()
        weight = backbone.denoiser.transformer_blocks[0].attn1.to_q.weight.requires_grad_()
        if checkpointing:
            backbone.denoiser.enable_gradient_checkpointing()
        latents = torch.randn(1, 16, 4, 6, generator=torch.Generator().manual_seed(2))
        backbone.predict(latents, 99).square().sum().backward()
        gradients.append(weight.grad)
    assert gradients[0].abs().max() > 0
    assert torch.equal(*gradients)


def test_tiling_is_not_recorded_where_nothing_is_tiled():
    pipe = TraceEdgePipeline(load_backbone())
    before = pipe.fingerprint()
    assert pipe.enable_vae_tiling() is pipe
    assert pipe.describe()["vae_tiling"] is None
    assert pipe.fingerprint() == before
