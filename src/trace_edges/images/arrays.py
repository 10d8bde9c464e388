"""Arrays and tensors as images."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from trace_edges.images.stored import Stored, check_size, refusal

Array: TypeAlias = np.ndarray | torch.Tensor


def from_array(source: Array, name: str) -> Stored:
    """The image that an array (h, w) or (h, w, 1 | 3 | 4), or a tensor (h, w) or (1 | 3 | 4, h, w),
    holds.

    Raises:
        ImageError: its shape, type or size is another, or it has no values that can be read.
    """
    if isinstance(source, torch.Tensor):
        _check_tensor(source, name)
    shape, is_tensor = tuple(source.shape), isinstance(source, torch.Tensor)
    if not (len(shape) == 2 or (len(shape) == 3 and shape[0 if is_tensor else 2] in (1, 3, 4))):
        layout = "(1 | 3 | 4, h, w)" if is_tensor else "(h, w, 1 | 3 | 4)"
        raise refusal(name, f"has the shape {shape}; give (h, w) or {layout}")
    height, width = shape[-2:] if is_tensor else shape[:2]
    check_size(height, width, name)  # before it is fetched from a device
    array = _values(source, name) if isinstance(source, torch.Tensor) else _plain(source, name)
    if array.dtype.kind not in "bf" and array.dtype.str[1:] not in ("u1", "u2"):
        raise refusal(name, f"has the type {array.dtype}; give uint8, uint16, bool or float")
    return Stored(array.__getitem__, height, width, float_limit=1 if is_tensor else 255)


def _plain(array: np.ndarray, name: str) -> np.ndarray:
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            problem = "has masked values; give them a value, for instance array.filled(0)"
            raise refusal(name, problem)
        array = array.data
    return np.asarray(array)


def _check_tensor(tensor: torch.Tensor, name: str) -> None:
    """Raises an `ImageError` for a tensor whose values do not lie in memory as they are."""
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
