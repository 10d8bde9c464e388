"""What memory an image needs: so that one that is too large is refused, and does not take the
process, and the images beside it, along.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from trace_edges.jobs.locks import lock
from trace_edges.memory import free

DRAWING = 48  # bytes per pixel: DivergenceDrawing takes 37 at its peak, the task's files the rest
DECODING = 23  # at most: four bands of 16 bits with copies of them, and the result


@contextmanager
def alone(height: int, width: int, bytes_per_pixel: int, workers: int) -> Iterator[None]:
    """Waits where an image of this size would not fit the memory `workers` times: it is at work
    while no other such image is, in any process of the user on this machine. Several large ones at
    a time would take the small ones around them along.
    """
    many = height * width * bytes_per_pixel * max(1, workers) > free()
    with lock() if many else nullcontext():
        yield


def refusal(height: int, width: int) -> str:
    """Why an image of this size cannot be drawn; nothing where there is memory enough."""
    needed = height * width * DRAWING
    if needed <= (there := free()):
        return ""
    return (
        f"its {width} x {height} px need about {needed / 2**30:.1f} GiB of memory, of which "
        f"{there / 2**30:.1f} are free; make it smaller, or give fewer workers"
    )


def is_lack(error: BaseException) -> bool:
    """Whether an error says that memory is lacking; PyTorch has three kinds of it."""
    told = "allocate memory" in str(error) or "not enough memory" in str(error)
    torch = sys.modules.get("torch")  # not imported for this: it takes seconds
    kinds = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or (isinstance(error, RuntimeError) and told)
