"""JSON of millions of entries, of which one at a time is in memory."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from trace_edges.formats.values import Key

_CHUNK = 1 << 20
Write = Callable[[str, Any], None]


def write_lists(path: Path, names: Sequence[str], entries: Callable[[Write], None]) -> None:
    """Write an object of lists, whose entries come in any order.

    Args:
        path: where to.
        names: of the lists, in the order of the file.
        entries: is given a function that takes the name of a list and its next entry.
    """
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(TemporaryFile("w+", encoding="utf-8", dir=path.parent))
            for name in names
        }

        def write(name: str, entry: Any) -> None:
            file = files[name]
            file.write("," if file.tell() else "")
            json.dump(entry, file, separators=(",", ":"), allow_nan=False)

        entries(write)
        target = stack.enter_context(path.open("w", encoding="utf-8"))
        for place, (name, file) in enumerate(files.items()):
            target.write(f"{',' if place else '{'}\n{json.dumps(name)}:[")
            file.seek(0)
            while some := file.read(_CHUNK):
                target.write(some)
            target.write("]")
        target.write("}\n")


class Ids:
    """Numbers that are each given once: what a file gives, where that is a number from `least` to
    `most` and not taken yet. What cannot be kept, such as text, is counted in `lost` as `what`.
    """

    def __init__(
        self, lost: Counter[str], what: str, least: int = 1, most: int = sys.maxsize
    ) -> None:
        self._lost, self._what, self._least, self._most = lost, what, least, most
        self._taken: set[int] = set()
        self._next = 1

    def __call__(self, id: Key | None) -> int:
        number = id if isinstance(id, int) and self._least <= id <= self._most else self._next
        while number in self._taken:
            number = self._next
            self._next += 1
        self._taken.add(number)
        self._lost[self._what] += id not in (None, number)
        return number
