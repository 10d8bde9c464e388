"""The loop: the average is an average, rates rise and fall, and stopping changes nothing."""

import json

import pytest
import torch
from accelerate import Accelerator
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
    lines = [json.loads(line) for line in (tmp_path / LINES).read_text().splitlines()]
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
    first, second = (json.loads((tmp_path / name / LINES).read_text().splitlines()[0])["loss"]
                     for name in ("one", "two"))  # fmt: skip
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
    with pytest.raises(ValueError, match="steps must be 1"):
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
