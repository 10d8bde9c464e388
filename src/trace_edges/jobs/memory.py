"""What memory an image needs: so that one that is too large is refused, and does not take the
process, and the images beside it, along.
"""

from __future__ import annotations

import torch

from trace_edges.memory import free

DRAWING = 48  # bytes per pixel: DivergenceDrawing takes 37 at its peak, the task's files the rest


def refusal(height: int, width: int) -> str | None:
    """Why an image of this size cannot be drawn; None if it can."""
    needed, there = height * width * DRAWING, free()
    if needed <= there:
        return None
    return (
        f"its {width} x {height} px need about {needed / 2**30:.1f} GiB of memory, of which "
        f"{there / 2**30:.1f} are free; make it smaller, or give fewer workers"
    )


def is_lack(error: BaseException) -> bool:
    """Whether an error says that memory is lacking; PyTorch has three kinds of it."""
    told = "allocate memory" in str(error) or "not enough memory" in str(error)
    lacking = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return lacking or (isinstance(error, RuntimeError) and told)
