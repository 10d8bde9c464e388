"""How much memory there is: what needs more is refused, and does not take the process along."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_limiting = threading.RLock()


def free() -> int:
    """Bytes that this process may still take: of the machine, its container, and its own limit."""
    found = [psutil.virtual_memory().available]
    try:
        limit, used = (
            (_CGROUP / f"memory.{name}").read_text(encoding="utf-8") for name in ("max", "current")
        )
        found.append(int(limit) - int(used))
    except (OSError, ValueError):
        pass  # no container, or one without a limit ("max")
    if sys.platform != "win32":
        import resource

        own, _ = resource.getrlimit(resource.RLIMIT_AS)
        if own != resource.RLIM_INFINITY:
            found.append(own - psutil.Process().memory_info().vms)
    return max(0, min(found))


@contextmanager
def bounded() -> Iterator[None]:
    """What takes more memory meanwhile than is free ends in a `MemoryError`, before the system ends
    the process, where the system knows such limits (Linux).
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    with _limiting:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        # Other threads take memory meanwhile, so the sum may lie beyond a limit that is there.
        limits = (psutil.Process().memory_info().vms + free(), soft, hard)
        limit = min(one for one in limits if one != resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
