"""How far a job of days is: a bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from trace_edges.cli.common import errors

if TYPE_CHECKING:
    from trace_edges.jobs import Status

_WINDOW = 60.0  # s over which images/s are counted
_LINE = 60.0  # s between lines of a log
_LOOK = 1.0  # s between looks at the memory


class Pace:
    """Images per second, the time that is left, and the memory of this process and its workers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        self._looked, self._memory = float("-inf"), 0

    def line(self, status: Status) -> str:
        """All three in words."""
        now = self._clock()
        self._seen.append((now, status.now))
        while now - self._seen[0][0] > _WINDOW and len(self._seen) > 2:
            self._seen.popleft()
        (since, before), passed = self._seen[0], now - self._seen[0][0]
        rate = (status.now - before) / passed if passed > 0 and since < now else 0.0
        left = timedelta(seconds=round(status.open / rate)) if rate else "?"
        if now - self._looked > _LOOK:
            self._looked, self._memory = now, memory()
        failed = f", {status.failed} failed" if status.failed else ""
        return f"{rate:.2f} images/s, {left} left, {self._memory / 2**30:.2f} GiB{failed}"


def memory() -> int:
    """Resident bytes of this process and those it started."""
    import psutil

    this = psutil.Process()
    total = 0
    for process in (this, *this.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:  # it ended in between
            continue
    return total


@contextmanager
def job_progress(what: str, hidden: bool) -> Iterator[Callable[[Status], None]]:
    """Gives the function that shows a status, on standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    pace, spoken = Pace(), time.monotonic()
    shown = not hidden and errors.is_terminal
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[at]}"))
    with Progress(*columns, console=errors, disable=not shown, transient=True) as bar:
        task = bar.add_task(what, total=None, at="")

        def show(status: Status) -> None:
            nonlocal spoken
            if hidden:
                return
            line = pace.line(status)
            bar.update(task, total=status.total, completed=status.total - status.open, at=line)
            if not shown and time.monotonic() - spoken > _LINE:
                spoken = time.monotonic()
                errors.print(f"{status.total - status.open} of {status.total}: {line}")

        yield show
