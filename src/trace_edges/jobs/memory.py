"""What memory an image needs: so that one that is too large is refused, and does not take the
process, and the images beside it, along.
"""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from filelock import FileLock

from trace_edges.memory import free

DRAWING = 48  # bytes per pixel: DivergenceDrawing takes 37 at its peak, the task's files the rest


@contextmanager
def room(height: int, width: int, workers: int) -> Iterator[str]:
    """Waits until there is memory to draw an image of this size, and says why there will be none;
    else it says nothing.

    What would not fit `workers` times is drawn while no other such image is, in any process of the
    user on this machine: several large ones at a time would take the small ones around them along.
    """
    needed = height * width * DRAWING
    alone = needed * max(1, workers) > free()
    path = Path(tempfile.gettempdir(), f"trace-edges-{getpass.getuser()}.lock")
    with FileLock(path) if alone else nullcontext():
        yield _refusal(height, width, needed)


def _refusal(height: int, width: int, needed: int) -> str:
    if needed <= (there := free()):
        return ""
    return (
        f"its {width} x {height} px need about {needed / 2**30:.1f} GiB of memory, of which "
        f"{there / 2**30:.1f} are free; make it smaller, or give fewer workers"
    )


def is_lack(error: BaseException) -> bool:
    """Whether an error says that memory is lacking; PyTorch has three kinds of it."""
    told = "allocate memory" in str(error) or "not enough memory" in str(error)
    lacking = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return lacking or (isinstance(error, RuntimeError) and told)
