"""Where memory ran out: the batch or the resolution that would fit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from trace_edges.backbones.backbone import Backbone
from trace_edges.backbones.problems import out_of_memory
from trace_edges.backbones.sizing import emptied, memory, weight_bytes

_STEP = 64  # px between the resolutions that are tried
_RESERVE = 0.1  # of the memory, for kernels and what the allocator cannot use
_GIB = 2**30


@contextmanager
def explained_memory(backbone: Backbone, size: tuple[int, int], batch: int = 1) -> Iterator[None]:
    """Turn running out of memory into one line with the batch or the resolution that would fit.

    Args:
        size: (H, W) in px of what the model sees within.
        batch: images of a pass.

    Raises:
        BackboneError: the device's memory was not enough.
    """
    with out_of_memory(lambda: _advice(backbone, size, batch)):
        yield


def _advice(backbone: Backbone, size: tuple[int, int], batch: int) -> str:
    device = backbone.device
    available = available_memory(device)
    height, width = size
    line = f"{backbone.name} ran out of memory on {device} at {height} x {width} px"
    line += f", {batch} images a pass" if batch > 1 else ""
    if available is None:
        smaller = f"try batch_size={batch // 2}" if batch > 1 else "ask for a smaller resolution"
        return f"{line}: {smaller}"
    line += f" ({available / _GIB:.1f} GiB)"
    if batch > 1:  # the largest below this one that should need no more; at least one image
        fit = _fits(backbone, available)
        fitting = bisect_left(range(2, batch), True, key=lambda images: not fit(size, images)) + 1
        return f"{line}: try batch_size={fitting}"
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
    fits = _fits(backbone, available)
    height, width = size
    current = (height * width) ** 0.5

    def too_large(steps: int) -> bool:
        scale, multiple = steps * _STEP / current, backbone.multiple
        h, w = (max(1, round(side * scale / multiple)) * multiple for side in (height, width))
        return not fits((h, w))

    smaller = range(1, -(-int(current) // _STEP))
    return bisect_left(smaller, True, key=too_large) * _STEP or None


def _fits(backbone: Backbone, available: int) -> Callable[..., bool]:
    """Says of a size (and a number of images) whether so many bytes are enough for a pass."""
    empty, weights = emptied(backbone), weight_bytes(backbone)

    def fits(size: tuple[int, int], images: int = 1) -> bool:
        needed = memory(empty, size, images)
        return weights + needed.peak - needed.weights <= available * (1 - _RESERVE)

    return fits


def available_memory(device: torch.device) -> int | None:
    """Bytes on the device that this process may have, with what it has; None: not known."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device)
