"""How much memory there is, and what an image needs: so that one that is too large is refused, and
does not take the process, and the images beside it, along.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import torch

DRAWING = 48  # bytes per pixel: DivergenceDrawing takes 37 at its peak, the task's files the rest
_CGROUP = Path("/sys/fs/cgroup")


def free() -> int:
    """Bytes that this process may still take: of the machine, its container, and its own limit."""
    found = [psutil.virtual_memory().available]
    try:
        limit, used = ((_CGROUP / f"memory.{name}").read_text() for name in ("max", "current"))
        found.append(int(limit) - int(used))
    except (OSError, ValueError):
        pass  # no container, or one without a limit ("max")
    if sys.platform != "win32":
        import resource

        own, _ = resource.getrlimit(resource.RLIMIT_AS)
        if own != resource.RLIM_INFINITY:
            found.append(own - psutil.Process().memory_info().vms)
    return max(0, min(found))


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
