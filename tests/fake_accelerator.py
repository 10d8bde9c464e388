"""A faked accelerator: tensors that lie on the CPU and say that they lie on a device called "fake".

PyTorch lets a backend be written in Python (its "privateuseone"). Every tensor of this one holds a
tensor on the CPU, and every operation is done there, so that results can be compared with a CPU's
own; but what a real accelerator would refuse is refused:

* tensors of two devices in one operation, but for numbers (0 dimensions) and indices;
* tensors of two floating types in a product, convolution or norm, of which CPUs let some pass;
* a random generator of the CPU for numbers on the device;
* where it is asked to be like a Mac's, float64.

What waits for the device (`.cpu()`, `.item()`, `.tolist()`, `.nonzero()`) is counted.

Not faked: kernels (Triton's know CUDA only), automatic mixed precision, streams, memory and speed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

if not hasattr(backend_registration, "_DummyBackendModule"):
    pytest.skip("this torch lets no backend be written in Python", allow_module_level=True)

NAME, DEVICES = "fake", 2

_aten = torch.ops.aten
_MOVES = {_aten._to_copy.default, _aten.copy_.default}
_INDEXED = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default,
            _aten._unsafe_index.Tensor, _aten._index_put_impl_.default}  # fmt: skip
_WAITS = {_aten._local_scalar_dense.default, _aten.equal.default, _aten.nonzero.default,
          _aten.masked_select.default}  # fmt: skip
_ONE_TYPE = {
    _aten.mm.default, _aten.addmm.default, _aten.bmm.default, _aten.baddbmm.default,
    _aten.mv.default, _aten.linear.default, _aten.convolution.default,
    _aten.native_layer_norm.default, _aten.native_group_norm.default,
}  # fmt: skip


class DeviceError(RuntimeError):
    """What a real device would have refused."""


class FakeAccelerator(TorchDispatchMode):
    """While it is active, "fake", "fake:0" and "fake:1" are devices.

    Args:
        float64: the device knows it; a Mac's does not.

    Attributes:
        waits: the operations that waited for the device, with the elements they fetched.
    """

    active: FakeAccelerator | None = None

    def __init__(self, float64: bool = True) -> None:
        super().__init__()
        self.float64 = float64
        self.waits: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with self:  # in inference mode, operations come whole that are made of others
            parts = func.decompose(*args, **(kwargs or {}))
        return self.run(func, args, kwargs or {}) if parts is NotImplemented else parts

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do an operation on what the tensors hold, if a real device would do it."""
        leaves = pytree.tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, OnFake)]
        target = kwargs.get("device")
        if not ours and (target is None or target.type != NAME):
            return func(*args, **kwargs)
        device = ours[0].device if target is None else target
        if func not in _MOVES:
            _check_devices(func, args, tensors, device if target is None else None)
        if func in _ONE_TYPE:
            _check_types(func, tensors)
        if getattr(kwargs.get("generator"), "device", device).type != device.type:
            raise DeviceError(f"{func}: expected a generator on {device}, not on the CPU")
        if func in _WAITS or (func in _MOVES and device.type == "cpu" and ours):
            self.waits.append((str(func), max(tensor.numel() for tensor in ours)))
        if func is _aten.copy_.default and not isinstance(args[0], OnFake):
            self.waits.append((str(func), args[0].numel()))

        args, kwargs = pytree.tree_map(_held, (args, kwargs))
        if func is _aten._softmax.default and args[2]:  # CPUs have no half to float
            args = (args[0].float(), args[1], False)
        result = func(*args, **kwargs)
        if device.type != NAME:
            return result
        return pytree.tree_map(lambda one: self._wrapped(one, tensors, device), result)

    def _wrapped(self, result: Any, given: list[torch.Tensor], device: torch.device) -> Any:
        if not isinstance(result, torch.Tensor):
            return result
        for tensor in given:  # what was changed in place is itself
            if result is _held(tensor):
                if tensor.shape != result.shape:
                    raise NotImplementedError("no shape can be changed in place")
                return tensor
        if result.dtype == torch.float64 and not self.float64 and not _of_diffusers():
            raise DeviceError(f"{device} has no float64")
        return OnFake(result, device)


class OnFake(torch.Tensor):
    """A tensor on the faked device; `held` lies on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor, device: torch.device) -> OnFake:
        index = device.index or 0
        with torch.inference_mode(False):
            made = torch.Tensor._make_wrapper_subclass(
                cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(),
                dtype=held.dtype, device=torch.device(NAME, index),
            )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.numpy:
            raise DeviceError(f"can't convert {args[0].device} tensor to numpy: use .cpu() first")
        if func is torch.Tensor.tolist:
            return args[0].detach().cpu().tolist()
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
        if func == torch.Tensor.data.__set__:  # a new object each time
            args[0].held = args[1].held
        return result

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if FakeAccelerator.active is None:
            raise DeviceError(f"{func}: the faked device is no longer there")
        return FakeAccelerator.active.run(func, args, kwargs or {})


def _of_diffusers() -> bool:
    """Whether it is diffusers that calls: it spares a Mac float64 where the device is called so."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith((__name__, "torch.")):
        frame = frame.f_back
    return bool(frame.f_globals["__name__"].startswith("diffusers."))


def _held(value: Any) -> Any:
    if isinstance(value, OnFake):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _check_devices(
    func: Any, args: tuple[Any, ...], tensors: list[torch.Tensor], device: torch.device | None
) -> None:
    """`device`: None where the operation makes a tensor elsewhere, as `new_zeros(device=)`."""
    indices = pytree.tree_leaves(args[1]) if func in _INDEXED else []
    for tensor in tensors:
        if isinstance(tensor, OnFake):
            alone = device is None or tensor.device == device
        else:
            alone = tensor.dim() == 0 or any(tensor is index for index in indices)
        if not alone:
            raise DeviceError(
                f"{func}: expected all tensors to be on the same device, but found {device} and "
                f"{tensor.device} {tuple(tensor.shape)}"
            )


def _check_types(func: Any, tensors: list[torch.Tensor]) -> None:
    types = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    if len(types) > 1:
        raise DeviceError(f"{func}: expected one floating type, but found {types}")


class _Module(backend_registration._DummyBackendModule):
    """torch.fake, as torch.cuda."""

    def is_available(self) -> bool:
        return FakeAccelerator.active is not None

    def device_count(self) -> int:
        return DEVICES

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    @contextmanager
    def device(self, index: Any) -> Iterator[None]:
        yield

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        return torch.zeros(1, dtype=torch.uint8)

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None:
        pass


class _Hook(backend_registration._DummyPrivateUse1Hook):
    def is_available(self) -> bool:
        return FakeAccelerator.active is not None


# Autograd counts devices when it first runs in a process, and only the first of ours: gradients are
# computed on "fake:0", and not on "fake:1".
backend_registration._setup_privateuseone_for_python_backend(
    NAME, backend_module=_Module(), hook=_Hook()
)


@contextmanager
def fake_accelerator(float64: bool = True) -> Iterator[FakeAccelerator]:
    """Have one within; outside of it there is none, and `--device auto` finds the CPU."""
    with FakeAccelerator(float64) as accelerator:
        FakeAccelerator.active = accelerator
        # `torch.tensor` makes its tensor on the CPU and moves it where the mode can see it.
        before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        try:
            yield accelerator
        finally:
            torch._C._set_only_lift_cpu_tensors(before)
            FakeAccelerator.active = None
