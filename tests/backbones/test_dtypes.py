"""The number type that `--dtype auto` stands for, and that models then have."""

import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.backbones.latents import default_dtype, has_bfloat16
from trace_edges.loading import Loading


def test_a_cpu_takes_float32():
    assert default_dtype(torch.device("cpu")) == torch.float32
    assert Loading(device="cpu").placement == {"device": torch.device("cpu"),
                                               "dtype": torch.float32}  # fmt: skip


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [
        ((7, 0), torch.float16),  # V100
        ((7, 5), torch.float16),  # T4, RTX 20
        ((8, 0), torch.bfloat16),  # A100
        ((8, 6), torch.bfloat16),  # RTX 30
        ((9, 0), torch.bfloat16),  # H100
        ((12, 0), torch.bfloat16),  # RTX 50
    ],
)
def test_a_faked_nvidia_card_takes_what_it_computes_in(capability, dtype, monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    monkeypatch.setattr("torch.version.hip", None)
    assert default_dtype(torch.device("cuda:1")) == dtype


@pytest.mark.parametrize("kind", ["mps", "xpu", "cuda"])
@pytest.mark.parametrize("error", [None, TypeError("BFloat16 is not supported on MPS"),
                                   RuntimeError("unsupported")])  # fmt: skip
def test_another_faked_accelerator_takes_bfloat16_where_it_has_it(kind, error, monkeypatch):
    """Apple's, Intel's and AMD's, whose cards call themselves "cuda"."""
    asked = []
    ones = torch.ones

    def fake_ones(*shape, dtype, device):
        asked.append(device)
        if error is not None:
            raise error
        return ones(*shape, dtype=dtype)

    monkeypatch.setattr("torch.version.hip", "6.4")
    monkeypatch.setattr("torch.ones", fake_ones)
    device = torch.device(kind)
    assert default_dtype(device) == (torch.bfloat16 if error is None else torch.float16)
    assert asked == [device]


def test_the_cpu_has_bfloat16():
    assert has_bfloat16(torch.device("cpu"))


@pytest.mark.parametrize(
    ("faked", "expected", "vae"),
    [
        (None, torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float16, torch.float32),  # in which the VAE of SDXL overflows
    ],
)
def test_the_loaded_model_has_it_faked_device(tiny_model, faked, expected, vae, monkeypatch):
    if faked is not None:
        monkeypatch.setattr("trace_edges.backbones.latents.default_dtype", lambda device: faked)
    pipe = Loading(device="cpu").load_pipeline(str(tiny_model("sdxl")))
    assert pipe.backbone.dtype == expected
    assert {p.dtype for p in pipe.backbone.denoiser.parameters()} == {expected}
    assert {p.dtype for p in pipe.backbone.vae.parameters()} == {vae}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_one_that_is_asked_for_is_taken_on_every_device(tiny_model, dtype):
    asked = Loading(device="cpu", dtype=dtype).placement["dtype"]
    assert asked == getattr(torch, dtype)
    assert load_backbone(tiny_model("pixart"), dtype=asked).dtype == asked
