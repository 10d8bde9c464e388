"""The denoiser in fewer bits; torchao works on a CPU, bitsandbytes has no accelerator here."""

import importlib.metadata
import importlib.util

import numpy as np
import pytest
import torch

from trace_edges.backbones import BackboneError, load_backbone
from trace_edges.backbones.quantization import QUANTIZATIONS
from trace_edges.explain import PromptSettings, denoise, load_generator
from trace_edges.extras import MissingExtraError
from trace_edges.training_free.pipeline import TraceEdgePipeline

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def needs(library):
    here = importlib.util.find_spec(library) is not None
    return pytest.mark.skipif(not here, reason=f"{library} is not installed")


@needs("torchao")
@pytest.mark.parametrize("kind", ["sd15", "sdxl", "pixart", "sd3.5-medium", "flux-dev"])
@torch.no_grad()
def test_int8_maps_are_near_those_of_the_whole_weights_random_weights(tiny_model, kind):
    folder = tiny_model(kind)
    whole, small = load_backbone(folder), load_backbone(folder, quantize="torchao-int8")
    assert small.dtype == torch.float32
    quantised = [p for p in small.denoiser.parameters() if type(p.data) is not torch.Tensor]
    assert len(quantised) > 5
    assert small.fingerprint() == load_backbone(folder, quantize="torchao-int8").fingerprint()
    assert small.fingerprint() != whole.fingerprint()
    latents = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    _, reference, grid = whole.attend(latents, 300)
    output, attention, same = small.attend(latents, 300)
    assert grid == same
    torch.testing.assert_close(attention.sum(-1), torch.ones(1, grid[0] * grid[1]))
    difference = (attention - reference).abs().max()
    assert 0 < difference < 0.02
    assert torch.equal(output, small.predict(latents, 300))


@needs("torchao")
def test_edges_say_how_the_weights_were_held_random_weights(tiny_model):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("sd15"), quantize="torchao-int8")
    out = pipe(PICTURE, resolution=64, stride=500)
    assert out.settings["quantize"] == "torchao-int8"
    assert np.isfinite(out.raw).all()


@needs("torchao")
def test_a_picture_is_made_in_fewer_bits_random_weights(tiny_model, tiny_texts):
    folder = tiny_model("sd3", null=False, **tiny_texts("sd3"))
    pipeline, backbone = load_generator(folder, quantize="torchao-int8")
    made = denoise(pipeline, backbone, "two cats", PromptSettings(64, 64, 2))
    assert made.image.shape == (64, 64, 3)


@pytest.mark.skipif(importlib.util.find_spec("torchao") is not None, reason="torchao is here")
def test_without_the_library_the_extra_is_named(tiny_model):
    with pytest.raises(MissingExtraError, match=r'torchao is not .*"trace-edges\[quantize\]"'):
        load_backbone(tiny_model("sd15"), quantize="torchao-int8")


def test_an_unknown_way_names_the_known_ones(tiny_model):
    with pytest.raises(BackboneError, match=r"'int3'; known: bnb-4bit, bnb-8bit, torchao-int8"):
        load_backbone(tiny_model("sd15"), quantize="int3")


def test_bitsandbytes_without_an_accelerator_is_refused_faked_library(tiny_model, monkeypatch):
    monkeypatch.setattr("trace_edges.backbones.quantization.require", lambda *_: None)
    monkeypatch.setattr("torch.accelerator.current_accelerator", lambda **_: None)
    with pytest.raises(BackboneError, match=r"bnb-4bit needs an accelerator.* torchao-int8 works"):
        load_backbone(tiny_model("sd15"), quantize="bnb-4bit")


@pytest.mark.parametrize("name", ["bnb-4bit", "bnb-8bit"])
def test_configs_of_bitsandbytes_are_those_of_diffusers_faked_version(name, monkeypatch):
    """The configs alone: neither the library nor an accelerator is here."""
    known = importlib.metadata.version
    monkeypatch.setattr(
        "importlib.metadata.version", lambda n: "0.49.0" if n == "bitsandbytes" else known(n)
    )
    config = QUANTIZATIONS[name].config(torch.bfloat16)
    assert config.load_in_4bit == (name == "bnb-4bit")
    assert config.load_in_8bit == (name == "bnb-8bit")
    if config.load_in_4bit:
        assert config.bnb_4bit_compute_dtype == torch.bfloat16
