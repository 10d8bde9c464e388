"""Arrays and tensors as images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, Union

import numpy as np

from trace_edges.images.stored import Stored, check_size, refusal

if TYPE_CHECKING:
    import torch

Array: TypeAlias = Union[np.ndarray, "torch.Tensor"]  # named alone: importing torch takes seconds


def is_tensor(source: object) -> TypeGuard[torch.Tensor]:
    """Whether it is a tensor; while nobody has imported torch there are none."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def is_array(source: object) -> TypeGuard[Array]:
    """Whether it is an array or a tensor."""
    return isinstance(source, np.ndarray) or is_tensor(source)


def from_array(source: Array, name: str) -> Stored:
    """The image that an array (h, w) or (h, w, 1 | 3 | 4), or a tensor (h, w) or (1 | 3 | 4, h, w),
    holds.

    Raises:
        ImageError: its shape, type or size is another, or it has no values that can be read.
    """
    first = is_tensor(source)  # the channels
    if is_tensor(source):
        _check_tensor(source, name)
    shape = tuple(source.shape)
    if not (len(shape) == 2 or (len(shape) == 3 and shape[0 if first else 2] in (1, 3, 4))):
        layout = "(1 | 3 | 4, h, w)" if first else "(h, w, 1 | 3 | 4)"
        raise refusal(name, f"has the shape {shape}; give (h, w) or {layout}")
    height, width = shape[-2:] if first else shape[:2]
    check_size(height, width, name)  # before it is fetched from a device
    array = _values(source, name) if is_tensor(source) else _plain(np.asanyarray(source), name)
    if array.dtype.kind not in "bf" and array.dtype.str[1:] not in ("u1", "u2"):
        raise refusal(name, f"has the type {array.dtype}; give uint8, uint16, bool or float")
    return Stored(array.__getitem__, height, width, float_limit=1 if first else 255)


def _plain(array: np.ndarray, name: str) -> np.ndarray:
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            problem = "has masked values; give them a value, for instance array.filled(0)"
            raise refusal(name, problem)
        array = array.data
    return np.asarray(array)


def _check_tensor(tensor: torch.Tensor, name: str) -> None:
    """Raises an `ImageError` for a tensor whose values do not lie in memory as they are."""
    import torch
    from torch.nn.parameter import is_lazy

    if is_lazy(tensor):
        raise refusal(name, "is a parameter without values; give a plain tensor")
    if tensor.is_nested:
        raise refusal(name, "is a nested tensor; give its images as a list")
    if tensor.layout != torch.strided:
        raise refusal(name, f"is a tensor of the layout {tensor.layout}; call to_dense() first")
    if tensor.is_quantized:
        raise refusal(name, "is a quantised tensor; call dequantize() first")
    if tensor.device.type == "meta":
        raise refusal(name, "is a tensor on the device meta, without values; give the values")


def _values(tensor: torch.Tensor, name: str) -> np.ndarray:
    """The tensor as an array, channels last."""
    import torch

    if tensor.dtype.is_complex or (tensor.dtype.is_floating_point and tensor.dtype.itemsize == 1):
        raise refusal(name, f"has the type {tensor.dtype}; give uint8, uint16, bool or float")
    try:
        plain = tensor.detach().cpu().resolve_neg()
        array = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:  # subclasses, lost devices
        problem = (
            f"is a {type(tensor).__name__} of {tensor.dtype} on {tensor.device} that cannot be"
        )
        raise refusal(name, f"{problem} read ({error}); give a plain tensor") from error
    return np.moveaxis(array, 0, -1) if array.ndim == 3 else array
