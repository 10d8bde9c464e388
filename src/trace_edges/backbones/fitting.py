"""Out of memory: which resolution would fit, computed without the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate.utils.memory import should_reduce_batch_size

from trace_edges.backbones.backbone import Backbone
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.sizing import emptied, memory, weight_bytes

_STEP = 64  # px between the resolutions that are tried
_RESERVE = 0.1  # of the memory, for kernels and what the allocator cannot use
_GIB = 2**30


@contextmanager
def explained_memory(backbone: Backbone, size: tuple[int, int], batch: int = 1) -> Iterator[None]:
    """Turn running out of memory into one line that says which resolution would fit.

    Args:
        size: (H, W) in px of what the model sees within.
        batch: images of a pass.

    Raises:
        BackboneError: the device's memory was not enough.
    """
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not should_reduce_batch_size(error):
            raise
        raise BackboneError(_advice(backbone, size, batch)) from error


def _advice(backbone: Backbone, size: tuple[int, int], batch: int) -> str:
    device = backbone.device
    available = available_memory(device)
    height, width = size
    line = f"{backbone.name} ran out of memory on {device} at {height} x {width} px"
    line += f", {batch} images a pass" if batch > 1 else ""
    if available is None:
        return f"{line}: ask for a smaller resolution"
    line += f" ({available / _GIB:.1f} GiB)"
    if batch > 1:
        return f"{line}: ask for fewer images a pass, or a smaller resolution"
    if (fits := fitting_resolution(backbone, size, available)) is not None:
        return f"{line}: a resolution of {fits} would fit"
    return (
        f"{line}: its weights alone take {weight_bytes(backbone) / _GIB:.1f} GiB; load it in "
        "bfloat16, enable_model_cpu_offload(), or take a smaller model"
    )


def fitting_resolution(backbone: Backbone, size: tuple[int, int], available: int) -> int | None:
    """The largest resolution, in steps of 64 px, at which an image of this shape needs no more.

    Args:
        size: (H, W) of the image, of which the shape counts.
        available: bytes.

    Returns:
        sqrt(H * W) in px, smaller than that of `size`; None: the smallest is too large as well.
    """
    empty, weights = emptied(backbone), weight_bytes(backbone)
    height, width = size
    current = (height * width) ** 0.5
    low, high = 0, max(0, -(-int(current) // _STEP) - 1)  # steps: `low` fits, all above `high` fail

    while low < high:
        middle = (low + high + 1) // 2
        scale = middle * _STEP / current
        tried = tuple(
            max(1, round(side * scale / backbone.multiple)) * backbone.multiple
            for side in (height, width)
        )
        needed = memory(empty, (tried[0], tried[1]))
        fits = weights + needed.peak - needed.weights <= available * (1 - _RESERVE)
        low, high = (middle, high) if fits else (low, middle - 1)
    return low * _STEP or None


def available_memory(device: torch.device) -> int | None:
    """Bytes on the device that this process may have, with what it has; None: not known."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device)
