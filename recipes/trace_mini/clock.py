"""How long a run has worked, over all its interruptions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trace_edges.files import write_atomically

_EVERY = 5.0  # s between writings: what a kill can lose


class Clock:
    """Seconds of each part of a run, kept in a file.

    Args:
        path: of the file; what stands in it counts on.
        mine: whether this process writes.
    """

    def __init__(self, path: Path, mine: bool) -> None:
        self._path, self._mine = path, mine
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        self._part, self._since, self._written = "", 0.0, 0.0

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Within, time counts for this part."""
        self._part, self._since = part, time.monotonic()
        try:
            yield
        finally:
            self._count()
            self._write()

    def tick(self) -> None:
        """Now and then, within a part."""
        self._count()
        if time.monotonic() - self._written > _EVERY:
            self._write()

    def _count(self) -> None:
        now = time.monotonic()
        self.seconds[self._part] = self.seconds.get(self._part, 0.0) + now - self._since
        self._since = now

    def _write(self) -> None:
        if self._mine:
            with write_atomically(self._path) as temporary:
                temporary.write_text(json.dumps(self.seconds) + "\n")
            self._written = time.monotonic()
