"""One object in several threads, and two objects side by side."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.attention.shared import hooks_of, pictures
from trace_edges import EdgeDetector, TraceEdgePipeline
from trace_edges.attention import AttentionRecorder, MapAverage, RecorderError, alone
from trace_edges.backbones import load_backbone
from trace_edges.detector.settings import StudentSettings
from trace_edges.detector.student import Student

WAIT = 20  # seconds until a test of threads has failed


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
