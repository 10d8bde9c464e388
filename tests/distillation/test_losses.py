"""Losses against values known beforehand."""

import math

import pytest
import torch

from trace_edges.distillation.losses import dice_loss, entropy_loss, reconstruction_loss

EVERYWHERE = torch.ones(1, 2, 2, dtype=torch.bool)
TARGET = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])


def test_dice_of_the_right_answer_is_0_and_of_the_opposite_nearly_1():
    sure = (TARGET * 2 - 1) * 50
    assert float(dice_loss(sure, TARGET, EVERYWHERE)) == pytest.approx(0)
    assert float(dice_loss(-sure, TARGET, EVERYWHERE)) == pytest.approx(
        1 - 1 / 5
    )  # 1 - 1 / (2+2+1)


@pytest.mark.parametrize("loss", [dice_loss, entropy_loss])
def test_what_does_not_count_costs_nothing_and_has_no_gradient(loss):
    counts = torch.tensor([[[True, True], [True, False]]])
    logits = torch.tensor([[[2.0, -1.0], [0.5, -9.0]]], requires_grad=True)
    first = loss(logits, TARGET, counts)
    other = torch.tensor([[[2.0, -1.0], [0.5, 9.0]]])
    assert first.item() == pytest.approx(loss(other, TARGET, counts).item())
    first.backward()
    assert logits.grad[0, 1, 1] == 0
    assert (logits.grad[counts] != 0).all()


def test_entropy_of_a_coin_is_log_2():
    logits = torch.zeros(1, 2, 2)
    assert float(entropy_loss(logits, TARGET, EVERYWHERE)) == pytest.approx(math.log(2))


def test_entropy_is_least_at_the_expected_strength():
    target = torch.full((1, 2, 2), 0.3)
    logits = torch.logit(torch.full((1, 2, 2), 0.3)).requires_grad_()
    entropy_loss(logits, target, EVERYWHERE).backward()
    assert torch.allclose(logits.grad, torch.zeros(1, 2, 2), atol=1e-7)


def test_entropy_of_the_target_itself_is_0():
    target = torch.tensor([[[0.3, 0.9], [0.5, 0.01]]])
    assert float(entropy_loss(torch.logit(target), target, EVERYWHERE)) == pytest.approx(
        0, abs=1e-6
    )


def test_reconstruction_is_the_mean_square():
    images = torch.zeros(1, 3, 2, 2)
    assert float(reconstruction_loss(images + 0.5, images)) == 0.25
