"""One object in several threads, two side by side, compiled models, autocast, checkpoints."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from trace_edges import EdgeDetector, TraceEdgePipeline
from trace_edges.attention import AttentionRecorder, MapAverage, RecorderError, alone, maps
from trace_edges.backbones import load_backbone
from trace_edges.detector.student import Student, StudentSettings

WAIT = 20  # seconds until a test of threads has failed


def pictures(count=4):
    # Of the size that a pass sees, so that passes take most of the time.
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(count)]


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def in_threads(call, items, threads=4):
    """Results in order; every item is called twice, so that threads meet."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, items * 2, timeout=120))


@pytest.mark.parametrize("kind", ["sd15", "sd3.5-large"])
def test_one_pipeline_in_several_threads_gives_what_it_gives_in_one(tiny_model, kind):
    """A UNet, whose grids are read by hooks as well, and joint attention."""
    pipe = TraceEdgePipeline(load_backbone(tiny_model(kind)))

    def call(image):
        return pipe(image, resolution=64, stride=333).edges

    images = pictures()
    alone_in_one = [call(image) for image in images]
    found = in_threads(call, images)
    for one, other in zip(found, alone_in_one * 2, strict=True):
        assert np.array_equal(one, other)
    assert hooks_of(pipe.backbone.denoiser) == 0


def test_one_detector_in_several_threads_gives_what_it_gives_in_one():
    detector = EdgeDetector.from_pretrained()

    def call(image):
        return detector(image, resolution=64).edges

    images = pictures()
    alone_in_one = [call(image) for image in images]
    for one, other in zip(in_threads(call, images), alone_in_one * 2, strict=True):
        assert np.array_equal(one, other)
    assert hooks_of(detector.student) == 0


def test_a_student_and_a_pipeline_of_one_backbone_do_not_hear_each_other(trace_mini):
    """The student's attention is recorded, the pipeline's too, and the denoiser is the same."""
    student = Student(trace_mini, StudentSettings(attention=1)).eval()
    latents = torch.randn(1, trace_mini.channels, 8, 8, generator=torch.Generator().manual_seed(0))
    images = torch.zeros(1, 3, 64, 64)

    @torch.no_grad()
    def call(which):
        if which:
            return trace_mini.attend(latents, 99)[1]
        return student.features(images)[0]

    expected = [call(0), call(1)]
    for one, other in zip(in_threads(call, [0, 1] * 2), expected * 4, strict=True):
        assert torch.equal(one, other)


def test_an_exception_in_one_thread_leaves_nothing_behind_for_the_others(tiny_pixart):
    backbone = load_backbone(tiny_pixart())
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = backbone.attend(latents, 99)[1]
    failing = torch.full((1, 4, 8, 8), float("nan"))

    def call(fails):
        try:
            return backbone.attend(failing if fails else latents, 99)[1]
        except RecorderError as error:
            return str(error)

    for fails, found in zip([0, 1, 0] * 4, in_threads(call, [0, 1, 0] * 2), strict=True):
        if fails:
            assert "NaN" in found
        else:
            assert torch.equal(found, expected)
    assert hooks_of(backbone.denoiser) == 0
    assert not torch.overrides._get_current_function_mode_stack()


class Meeting(nn.Module):
    """Attention in which two threads meet: it goes on only when both are inside."""

    def __init__(self, barrier):
        super().__init__()
        self.barrier = barrier

    def forward(self, q):
        self.barrier.wait(WAIT)
        return F.scaled_dot_product_attention(q, q, q)


def test_two_models_run_side_by_side():
    barrier = threading.Barrier(2)
    models = [nn.ModuleDict({"a": Meeting(barrier)}) for _ in range(2)]

    def call(model):
        average = MapAverage()
        with AttentionRecorder(model, ["a"], lambda _, q, k, s: average.add((2, 2), q, k, s)):
            model["a"](torch.randn(1, 2, 4, 8))
        return average.mean()[0].sum().item()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(call, models)) == pytest.approx([4, 4])


def test_a_pass_of_ones_own_in_another_thread_is_not_heard(tiny_pixart):
    """What a user runs without `alone`: the recorder hears its own thread only."""
    backbone = load_backbone(tiny_pixart())
    latents, heard = torch.randn(1, 4, 8, 8), []

    def sink(name, q, k, scale):
        if not heard:
            with ThreadPoolExecutor(1) as pool:  # in the middle of the recorded pass
                denoiser = backbone.denoiser
                pool.submit(denoiser.transformer_blocks[1].attn1, q.transpose(1, 2).flatten(2))
        heard.append(name)

    with torch.no_grad(), AttentionRecorder(backbone.denoiser, backbone.layers, sink):
        backbone.predict(latents, 99)
    assert heard == backbone.layers


def test_a_pass_may_hold_its_own_model():
    model = nn.Identity()
    with alone(model), alone(model):
        pass


COMPILED = """
import sys, tempfile, torch
from pathlib import Path
from tests.conftest import TINY, tiny_model
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
    with pytest.raises(RecorderError, match=r"miss a sum of 1 by 0\.5.*compiled") as caught:
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


@pytest.fixture
def learner(trace_mini_copy):
    student = Student(trace_mini_copy, StudentSettings(rank=2, attention=1))
    return student.train()


def gradients(student, images):
    student.zero_grad()
    logits, _ = student(images)
    logits.square().mean().backward()
    return {name: p.grad.clone() for name, p in student.trained() if p.grad is not None}


@pytest.fixture
def trace_mini_copy():
    return load_backbone()


def test_a_student_that_reads_attention_learns_the_same_from_checkpoints(learner):
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = gradients(learner, images)
    learner.denoiser.enable_gradient_checkpointing()
    found = gradients(learner, images)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7)
    assert any(gradient.abs().max() > 0 for name, gradient in found.items() if "lora" in name)
    assert hooks_of(learner.denoiser) == 0


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.project, self.reentrant = nn.Linear(8, 8), reentrant

    def forward(self, x):
        def attend(x):
            q = self.project(x)[None, None]
            return F.scaled_dot_product_attention(q, q, q)[0, 0]

        if self.reentrant is None:
            return attend(x)
        return checkpoint(attend, x, use_reentrant=self.reentrant)


def record_checkpointed(model, differentiable):
    average = MapAverage()
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with AttentionRecorder(
        nn.ModuleDict({"a": model}), ["a"],
        lambda _, q, k, s: average.add((2, 2), q, k, s), differentiable,
    ):  # fmt: skip
        output = model(x)
    return average.mean()[0], output, x


@pytest.mark.parametrize("reentrant", [True, False])
def test_recording_without_gradients_leaves_a_checkpoint_alone(reentrant):
    attention, output, x = record_checkpointed(Checkpointed(reentrant), False)
    assert not attention.requires_grad
    output.sum().backward()
    assert x.grad.abs().max() > 0


def test_gradients_of_maps_pass_through_a_checkpoint():
    plain, through = Checkpointed(None), Checkpointed(False)
    through.load_state_dict(plain.state_dict())
    found = []
    for model in (plain, through):
        attention, output, _ = record_checkpointed(model, True)
        (output.square().sum() + attention.square().sum()).backward()
        found.append(model.project.weight.grad)
    torch.testing.assert_close(*found)


def test_a_reentrant_checkpoint_hides_gradients_and_is_refused():
    with pytest.raises(RecorderError, match="use_reentrant=False"):
        record_checkpointed(Checkpointed(True), True)


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
