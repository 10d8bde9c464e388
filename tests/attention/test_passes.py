"""Compiled models, autocast and default number types, and what a pass waits for."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.attention.shared import pictures
from trace_edges import EdgeDetector, TraceEdgePipeline
from trace_edges.attention import MapAverage, RecorderError, maps
from trace_edges.backbones import load_backbone

COMPILED = """
import sys, tempfile, torch
from pathlib import Path
from tests.tiny_models import TINY, tiny_model
from trace_edges.attention import AttentionRecorder
from trace_edges.backbones import load_backbone

torch.set_num_threads(1)
make = getattr(tiny_model, "__wrapped__", None) or tiny_model.__pytest_wrapped__.obj
backbone = load_backbone(make(Path(tempfile.mkdtemp()))("flux-dev"))
latents = torch.randn(1, backbone.channels, 8, 8, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    output, expected, _ = backbone.attend(latents, 99)
    whole = backbone.denoiser
    for way in sys.argv[2:]:
        if way == "compile":
            backbone.denoiser.compile(backend=sys.argv[1])
        elif way == "torch.compile":
            whole._compiled_call_impl = None
            backbone.denoiser = torch.compile(whole, backend=sys.argv[1])
        else:
            backbone.denoiser = whole
            whole._compiled_call_impl = None
            for block in whole.transformer_blocks:
                block.compile(backend=sys.argv[1])
        for _ in range(2):  # compiled while nobody listens, and recorded afterwards
            plain = backbone.predict(latents, 99)
            assert (plain - output).abs().max() < 1e-4, way
            _, found, _ = backbone.attend(latents, 99)
            assert (found.sum(-1) - 1).abs().max() < 1e-5, (way, found.sum(-1))
            assert torch.equal(found, expected), way
        blocks = whole.transformer_blocks
        assert ((blocks[0] if way == "blocks" else whole)._compiled_call_impl is not None) == (
            way != "torch.compile"
        )  # as it was
print("equal")
"""


@pytest.mark.parametrize("way", ["compile", "torch.compile"])
def test_a_recording_does_not_run_what_was_compiled_by_a_fake(tiny_pixart, way):
    """The fakes stand for code that was compiled before anybody listened, and runs no hook."""
    backbone = load_backbone(tiny_pixart())
    latents = torch.randn(1, 4, 8, 8)
    expected = backbone.attend(latents, 99)[1]

    class FakeOptimizedModule(nn.Module):
        def __init__(self, model):
            super().__init__()
            self._orig_mod = model
            self.forward = deaf

        def __getattr__(self, name):
            return super().__getattr__(name) if name == "_orig_mod" else getattr(denoiser, name)

    def deaf(*args, **kwargs):
        raise AssertionError("the compiled model ran")

    denoiser = backbone.denoiser
    if way == "compile":
        denoiser._compiled_call_impl = deaf
    else:
        backbone.denoiser = FakeOptimizedModule(denoiser)
    assert torch.equal(backbone.attend(latents, 99)[1], expected)
    with pytest.raises(AssertionError, match="the compiled model ran"):  # as it was
        backbone.predict(latents, 99)


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ("eager", "compile", "torch.compile", "blocks"),
        ("aot_eager", "compile"),
    ],
)
def test_a_compiled_flux_gives_the_maps_of_the_uncompiled(arguments):
    # In a process of its own: what checks shapes in these tests cannot be compiled.
    ended = subprocess.run(
        [sys.executable, "-c", COMPILED, *arguments], capture_output=True, text=True
    )
    assert ended.stdout == "equal\n", ended.stderr


def test_rows_that_do_not_sum_to_one_are_an_error():
    average, q = MapAverage(), torch.randn(1, 2, 6, 4)
    for _ in range(3):
        average.add((2, 3), q, q, 0.5)
    average._layers[2, 3] = 2  # a call that was not counted
    with pytest.raises(RecorderError, match=r"do not sum to 1 \(by 0\.5.*compiled") as caught:
        average.mean()
    assert "\n" not in str(caught.value)


def test_attention_of_nan_is_an_error_that_says_so():
    average, q = MapAverage(), torch.full((1, 2, 6, 4), torch.nan)
    average.add((2, 3), q, q, 0.5)
    with pytest.raises(RecorderError, match="NaN or infinity"):
        average.mean()


@pytest.fixture
def bfloat16_by_default():
    torch.set_default_dtype(torch.bfloat16)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("source", ["pipeline", "detector"])
def test_autocast_changes_nothing(source):
    """Settings say float32, so float32 it is."""
    kind = TraceEdgePipeline if source == "pipeline" else EdgeDetector
    found = kind.from_pretrained()
    [image] = pictures(1)
    expected = found(image, resolution=64)
    with torch.autocast("cpu", torch.bfloat16):
        inside = found(image, resolution=64)
    assert np.array_equal(inside.edges, expected.edges)
    assert inside.settings == expected.settings
    assert inside.settings["dtype"] == "float32"


@pytest.mark.parametrize("source", ["pipeline", "noise", "detector"])
def test_another_default_dtype_changes_nothing(source, bfloat16_by_default):
    kind = EdgeDetector if source == "detector" else TraceEdgePipeline
    options = {"trajectory": "noise"} if source == "noise" else {}
    [image] = pictures(1)
    inside = kind.from_pretrained()(image, resolution=64, **options)
    torch.set_default_dtype(torch.float32)
    expected = kind.from_pretrained()(image, resolution=64, **options)
    assert np.array_equal(inside.edges, expected.edges)
    assert inside.settings == expected.settings
    assert inside.settings["dtype"] == "float32"


@pytest.mark.parametrize("learning", [False, True])
def test_maps_are_float32_under_autocast(tiny_pixart, learning):
    backbone = load_backbone(tiny_pixart())
    backbone.denoiser.requires_grad_(learning)
    latents = torch.randn(1, 4, 8, 8)
    with (
        torch.autocast("cpu", torch.bfloat16),
        backbone.recording(latents, differentiable=True) as average,
    ):
        backbone.predict(latents, 99)
    attention, _ = average.mean()
    assert attention.dtype == torch.float32
    assert attention.requires_grad == learning
    assert (attention.sum(-1) - 1).abs().max() < 1e-5


def test_the_head_mean_is_float32_under_autocast():
    q, k = torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8)
    expected = maps.head_mean(q, k, 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        average = MapAverage()
        average.add((2, 3), q.requires_grad_(), k, 0.5)
        found, _ = average.mean()
    assert torch.equal(found, expected)


class Watching(TorchDispatchMode):
    """Counts looks at values of a device: each makes the program wait for it."""

    def __init__(self):
        super().__init__()
        self.looks = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        to_cpu = "_to_copy" in str(func) and str(kwargs.get("device")) == "cpu"
        self.looks += "_local_scalar_dense" in str(func) or to_cpu
        return func(*args, **kwargs)


@pytest.mark.parametrize("kind", ["sd15", "flux-dev"])
def test_a_recorded_pass_looks_at_no_value_layer_by_layer(tiny_model, kind):
    """One look at each map, when its rows are checked."""
    backbone = load_backbone(tiny_model(kind))
    latents = torch.randn(1, backbone.channels, 16, 16)
    with torch.no_grad():
        with Watching() as watching:
            backbone.predict(latents, 99)
        by_model = watching.looks
        with Watching() as watching:
            backbone.attend(latents, 99)
    assert len(backbone.layers) > 2
    assert watching.looks == by_model + 1


def test_a_capture_needs_no_value_of_its_device():
    """Tensors without values: each look at one would raise."""
    q = torch.empty(1, 2, 16, 8, device="meta", dtype=torch.float16)
    small = torch.empty(1, 2, 4, 8, device="meta", dtype=torch.float16)
    average = MapAverage()
    for _ in range(3):
        average.add((4, 4), q, q, 0.5)
        average.add((2, 2), small, small, 0.5)
    mean, grid = average.mean()
    assert (mean.device.type, mean.dtype, grid) == ("meta", torch.float32, (4, 4))
