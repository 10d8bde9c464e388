"""The loop: the average is an average, rates rise and fall, and stopping changes nothing."""

import json
from contextlib import nullcontext

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors import safe_open
from torch import nn

from trace_edges.files import FileError
from trace_edges.training import (
    BEST,
    CHECKPOINT,
    Best,
    Stage,
    averaged,
    falling_cosine,
    falling_line,
    fit,
    follow_weights,
)
from trace_edges.training.curves import LINES

STAGE = Stage(2, 10, 1e-2, warm_up=2, ema=0.9, validate_every=4, save_every=3)


class StoppedError(Exception):
    pass


def train(folder, stage=STAGE, begun_with='{"seed": 0}', stop=None, accumulate=1):
    """A line through noise that the number of the batch decides."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)

    def batches(first, end):
        return (torch.Generator().manual_seed(number) for number in range(first, end))

    def loss_of(called, generator, number):
        x = torch.randn(stage.batch_size, 3, generator=generator)
        return (called(x) - x.sum(dim=1, keepdim=True)).square().mean()

    def on_step(line):
        if line["step"] == stop:
            raise StoppedError

    fit(
        model, stage, folder, begun_with, batches, loss_of,
        lambda step: {"validation_loss": float(model.weight.sum())},
        Accelerator(cpu=True, gradient_accumulation_steps=accumulate), on_step=on_step,
    )  # fmt: skip
    return model


def test_the_rate_rises_to_one_and_falls_to_nothing_over_the_last_half():
    stage = Stage(1, 100, 1.0, warm_up=10)
    assert [falling_line(stage, n) for n in (0, 4, 9, 50)] == pytest.approx([0.1, 0.5, 1, 1])
    assert [falling_line(stage, n) for n in (75, 99)] == pytest.approx([0.5, 0.02])


def test_the_cosine_rises_to_one_and_falls_to_a_fiftieth():
    stage = Stage(1, 1000, 1.0, warm_up=10)
    assert falling_cosine(stage, 0) == pytest.approx(0.1)
    assert [falling_cosine(stage, n) for n in (10, 500, 999)] == pytest.approx(
        [1, 0.51, 0.02], abs=1e-3
    )


def test_the_average_is_the_mean_of_old_and_new_by_its_share():
    weights = {"w": nn.Parameter(torch.tensor([3.0]))}
    average = {"w": torch.tensor([1.0])}
    follow_weights(average, weights, step=1000, most=0.75)
    assert average["w"].item() == pytest.approx(0.75 * 1 + 0.25 * 3)
    follow_weights(average, weights, step=0, most=0.75)  # the first step keeps a tenth
    assert average["w"].item() == pytest.approx(0.1 * 1.5 + 0.9 * 3)


def test_the_average_is_lent_and_given_back():
    weights, average = {"w": nn.Parameter(torch.ones(2))}, {"w": torch.zeros(2)}

    def read():
        with averaged(weights, average):
            raise StoppedError(weights["w"].tolist())

    with pytest.raises(StoppedError, match=r"\[0\.0, 0\.0\]"):
        read()
    assert weights["w"].tolist() == [1, 1]


def test_the_model_ends_with_the_average_and_it_has_learnt(tmp_path):
    model = train(tmp_path, Stage(8, 300, 2e-2, ema=0.9))
    assert model.weight.detach().flatten().tolist() == pytest.approx([1, 1, 1], abs=0.1)
    lines = [
        json.loads(line) for line in (tmp_path / LINES).read_text(encoding="utf-8").splitlines()
    ]
    assert [line["step"] for line in lines] == list(range(1, 301))
    assert lines[-1]["validation_loss"] == float(model.weight.sum())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_was_stopped_ends_with_the_same_bytes(tmp_path, accumulate):
    train(tmp_path / "a", accumulate=accumulate)
    for stop in (2, 5, 9):  # before, between and after checkpoints
        with pytest.raises(StoppedError):
            train(tmp_path / "b", stop=stop, accumulate=accumulate)
    train(tmp_path / "b", accumulate=accumulate)
    for name in (CHECKPOINT, LINES):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_two_batches_a_step_are_the_mean_of_both(tmp_path):
    train(tmp_path / "one", accumulate=1)
    train(tmp_path / "two", accumulate=2)
    texts = ((tmp_path / name / LINES).read_text(encoding="utf-8") for name in ("one", "two"))
    first, second = (json.loads(text.splitlines()[0])["loss"] for text in texts)
    assert first != second
    torch.manual_seed(0)
    model, losses = nn.Linear(3, 1), []
    for number in (0, 1):
        x = torch.randn(2, 3, generator=torch.Generator().manual_seed(number))
        losses.append((model(x) - x.sum(dim=1, keepdim=True)).square().mean().item())
    assert first == pytest.approx(losses[0])
    assert second == pytest.approx(sum(losses) / 2)


def test_another_run_in_the_folder_is_refused(tmp_path):
    train(tmp_path)
    with pytest.raises(FileError, match="seed 0, not 1"):
        train(tmp_path, begun_with='{"seed": 1}')


def test_a_stage_of_no_steps_is_refused():
    with pytest.raises(ValueError, match="steps is 0, and should be at least 1"):
        Stage(1, 0, 1e-3)


def test_a_run_ends_with_its_best_weights_and_stops_after_the_patience(tmp_path):
    """The score falls from the second validation on; best is the first of all."""
    model = nn.Linear(1, 1)
    stage = Stage(1, 100, 1e-1, validate_every=10, validate_first=True)
    seen = []

    def measure(step):
        seen.append((step, model.weight.detach().clone()))
        return {"score": -step}

    def run():
        torch.manual_seed(0)
        fit(
            model, stage, tmp_path, "{}",
            lambda first, end: (torch.ones(1, 1) for _ in range(first, end)),
            lambda called, x, number: called(x).square().mean(),
            measure, Accelerator(cpu=True), best=Best("score", patience=2),
        )  # fmt: skip

    run()
    assert [step for step, _ in seen] == [1, 10, 20]
    assert torch.equal(model.weight, seen[0][1])
    assert (tmp_path / BEST).exists()
    run()  # it has ended: nothing is done again
    assert len(seen) == 3
    assert torch.equal(model.weight, seen[0][1])


def one_step(folder, accelerator, rate=1e-2):
    """The sum of the gradients of a first step, as its optimizer is given it."""
    torch.manual_seed(0)
    model, seen = nn.Linear(3, 1), {}
    model.weight.register_post_accumulate_grad_hook(lambda w: seen.update(grad=w.grad.clone()))

    def batches(first, end):
        return (torch.Generator().manual_seed(number) for number in range(first, end))

    def loss_of(called, generator, number):
        x = torch.randn(8, 3, generator=generator)
        return 1e-2 * (called(x) - x.sum(dim=1, keepdim=True)).square().mean()

    fit(model, Stage(8, 1, rate, warm_up=1, validate_every=1), folder, "{}", batches, loss_of,
        lambda step: {}, accelerator)  # fmt: skip
    return seen["grad"]


def fresh_line():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


@pytest.mark.parametrize("parts", [1, 4])
def test_the_gradient_of_a_step_is_of_the_mean_of_its_batches(tmp_path, parts):
    """Accumulated without a second division."""
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=parts)
    gradient = one_step(tmp_path, accelerator)
    model = fresh_line()
    losses = [
        1e-2 * (model(x) - x.sum(dim=1, keepdim=True)).square().mean()
        for x in (
            torch.randn(8, 3, generator=torch.Generator().manual_seed(n)) for n in range(parts)
        )
    ]
    (sum(losses) / parts).backward()
    torch.testing.assert_close(gradient, model.weight.grad)


def scaling_accelerator():
    """As of float16 on CUDA, on a CPU: the loss is scaled, all numbers stay float32."""
    accelerator = Accelerator(cpu=True)
    accelerator.scaler, accelerator.native_amp = torch.amp.GradScaler("cpu"), True
    accelerator.state._shared_state["_mixed_precision"] = "fp16"
    accelerator.autocast = nullcontext
    return accelerator


@pytest.fixture
def scaling():
    yield scaling_accelerator()
    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_scaled_loss_steps_as_an_unscaled_one_faked_float16(tmp_path, scaling):
    """Gradients are unscaled before their norm is cut to 1; AdamW's state tells their size."""
    train_with = {"scaled": scaling, "plain": Accelerator(cpu=True)}
    first = {}
    for name, accelerator in train_with.items():
        one_step(tmp_path / name, accelerator)
        with safe_open(tmp_path / name / CHECKPOINT, "pt") as stored:
            first[name] = stored.get_tensor("optimizer/exp_avg/weight")
    torch.testing.assert_close(first["scaled"], first["plain"])
    assert 0 < first["plain"].norm() < 0.05  # far below what a cut norm would leave, 0.1


def test_the_scale_is_gone_on_with_faked_float16(tmp_path, scaling):
    scaling.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    one_step(tmp_path, scaling)
    again = scaling_accelerator()
    fit(nn.Linear(3, 1), Stage(8, 1, 1e-2, warm_up=1), tmp_path, "{}", lambda *_: (),
        lambda *_: None, lambda step: {}, again)  # fmt: skip
    assert again.scaler.get_scale() == 8.0


def test_a_step_that_overflows_is_left_out_faked_float16(tmp_path, scaling):
    """The first steps of float16 often do: then AdamW has no state yet, to be saved or loaded."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1)
    before = model.weight.detach().clone()

    def run(model):
        fit(model, Stage(1, 1, 1e-2, warm_up=1), tmp_path, "{}",
            lambda first, end: (torch.ones(1, 1) for _ in range(first, end)),
            lambda called, x, number: called(x).sum() * float("inf"),
            lambda step: {}, scaling)  # fmt: skip

    run(model)
    assert torch.equal(model.weight, before)
    run(nn.Linear(1, 1))
