"""The faked accelerator refuses what a real one would, counts what waits, and ends."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.fake_accelerator import NAME, DeviceError, fake_accelerator


@pytest.fixture
def device():
    with fake_accelerator() as accelerator:
        yield accelerator


def there(*shape, dtype=torch.float32, index=0):
    return torch.ones(shape, dtype=dtype, device=f"{NAME}:{index}")


HALF = torch.float16
MISTAKES = {
    "a sum with a tensor of the CPU": lambda: there(3) + torch.ones(3),
    "a product with one": lambda: there(3, 3) @ torch.ones(3, 3),
    "weights that were left behind": lambda: nn.Linear(3, 3)(there(2, 3)),
    "tensors put together": lambda: torch.cat([there(3), torch.ones(3)]),
    "a choice by one": lambda: torch.where(torch.ones(3) > 0, there(3), 0),
    "a table looked up by one": lambda: F.embedding(torch.tensor([0, 1]), there(4, 2)),
    "two devices of a kind": lambda: there(3) + there(3, index=1),
    "half and float32 in a product": lambda: there(3, 3, dtype=HALF) @ there(3, 3),
    "in a linear layer": lambda: F.linear(there(2, 3, dtype=HALF), there(3, 3)),
    "in a convolution": lambda: F.conv2d(there(1, 2, 4, 4, dtype=HALF), there(3, 2, 3, 3)),
    "its bias alone": lambda: F.conv2d(there(1, 2, 4, 4), there(3, 2, 3, 3), there(3, dtype=HALF)),
    "in a norm": lambda: F.layer_norm(there(2, 3, dtype=HALF), (3,), there(3), there(3)),
    "in a norm of groups": lambda: F.group_norm(there(1, 4, 2, dtype=HALF), 2, there(4), there(4)),
    "two halves": lambda: there(3, 3, dtype=HALF) @ there(3, 3, dtype=torch.bfloat16),
    "in attention": lambda: F.scaled_dot_product_attention(
        there(1, 2, 4, 8, dtype=HALF), there(1, 2, 4, 8), there(1, 2, 4, 8)
    ),
    "a generator of the CPU": lambda: torch.randn(3, device=NAME, generator=torch.Generator()),
    "numpy without .cpu()": lambda: there(3).numpy(),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused(device, mistake):
    with pytest.raises(RuntimeError):
        MISTAKES[mistake]()


def test_a_mac_has_no_float64():
    with fake_accelerator(float64=False):
        assert (there(3).cpu().double() == 1).all()
        for make in (
            lambda: there(3).double(),
            lambda: torch.zeros(3, dtype=torch.float64).to(NAME),
        ):
            with pytest.raises(DeviceError, match="no float64"):
                make()


def test_what_a_device_takes_passes(device):
    x = torch.randn(2, 3, 4)
    on = x.to(NAME)
    assert on.device == torch.device(NAME, 0)
    assert torch.equal((on * torch.tensor(2.0) + 1).cpu(), x * 2 + 1)  # a number of the CPU
    assert torch.equal(on[:, torch.tensor([2, 0])].cpu(), x[:, [2, 0]])  # indices of the CPU
    assert torch.equal(on.new_tensor([1.0, 2.0]).cpu(), torch.tensor([1.0, 2.0]))
    with torch.inference_mode():
        assert torch.equal(on.unsqueeze(1).mT.flatten().cpu(), x.unsqueeze(1).mT.flatten())


def learn(place):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 8, 3), nn.GroupNorm(2, 8), nn.SiLU()).to(place)
    x = torch.randn(2, 2, 8, 8).to(place)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return [parameter.detach().cpu() for parameter in model.parameters()]


def compare_learning():
    with fake_accelerator():
        on = learn(NAME)
    for here, there_ in zip(learn("cpu"), on, strict=True):
        torch.testing.assert_close(here, there_)


def test_a_model_learns_as_on_the_cpu():
    """In a process of its own: autograd counts the devices once, at the first backward pass."""
    code = "from tests.test_fake_accelerator import compare_learning; compare_learning()"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_waits_for_the_device_is_counted(device):
    x = there(2, 3)
    (x + 1).sum(dim=0).to(f"{NAME}:0")
    assert device.waits == []
    x.cpu(), x.sum().item(), x.tolist(), bool(x.any()), x.nonzero()
    assert len(device.waits) == 5
    assert max(elements for _, elements in device.waits) == 6


def test_there_is_none_outside():
    with fake_accelerator():
        assert torch.accelerator.current_accelerator(check_available=True).type == NAME
        kept = there(3)
    assert torch.accelerator.current_accelerator(check_available=True) is None
    with pytest.raises(DeviceError, match="no longer there"):
        kept + 1
