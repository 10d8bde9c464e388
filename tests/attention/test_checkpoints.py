"""Recording beside gradient checkpoints, which run a part of a pass again."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.attention.shared import hooks_of
from trace_edges.attention import AttentionRecorder, MapAverage, RecorderError
from trace_edges.backbones import load_backbone
from trace_edges.detector.settings import StudentSettings
from trace_edges.detector.student import Student


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
