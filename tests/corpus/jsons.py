"""Values that have no business in a JSON, put in the place of every key by turns."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

MISSING = object()


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "text": "x",
    "number as text": "24",
    "empty text": "",
    "true": True,
    "list": [1],
    "object": {"a": 1},
    "nested": nested(60),
    "negative": -1,
    "fraction": 1.5,
    "a thousand million": 10**9,
    "1e300": 1e300,
    "NaN": math.nan,
    "infinite": math.inf,
}
ALL = frozenset(VALUES)
SHAPES = frozenset({"list", "object", "nested"})
NO_NUMBER = SHAPES | {"text", "number as text", "empty text", "true", "NaN", "infinite"}
NO_ID = SHAPES | {"null", "missing", "true", "fraction", "NaN", "infinite"}


def changed(content: Any, place: Sequence[str | int], value: Any) -> Any:
    """A copy with another value in a place, or without it."""
    content = copy.deepcopy(content)
    *way, last = place
    holder = content
    for step in way:
        holder = holder[step]
    if value is MISSING:
        del holder[last]
    else:
        holder[last] = value
    return content


def broken_files(text: str) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """What can be wrong with a file whatever it is about: the kind, and what writes it."""

    def saved(content: str | bytes) -> Callable[[Path], object]:
        data = content.encode() if isinstance(content, str) else content
        return lambda path: path.write_bytes(data)

    yield "empty file", saved("")
    yield "only spaces", saved(" \n ")
    yield "cut in the middle", saved(text[: len(text) // 2])
    yield "a bracket too many", saved(text + "]")
    yield "two documents", saved(text + "\n" + text)
    yield "no UTF-8", saved(text.replace("images", "im\u00e4ges").encode("latin-1") + b"\xff")
    yield "zero bytes", saved(b"\0" * 1000)
    yield "a picture", saved(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    yield "gzip", saved(b"\x1f\x8b\x08\0\0\0\0\0\0\3")
    yield "deep brackets", saved("[" * 200_000)
    yield "deep document", saved("[" * 100_000 + "]" * 100_000)
    yield "an endless number", saved("[" + "9" * 10_000 + "]")
    yield "a key twice", saved(text.replace("{", '{"k": 1, "k": 2, ', 1))
    yield "single quotes", saved(text.replace('"', "'"))
    for name, value in {"null": None, "number": 3, "text": "x", "true": True}.items():
        yield f"top is {name}", saved(json.dumps(value))
    yield "top is a list of numbers", saved("[1, 2, 3]")
    yield "top is a list of nulls", saved("[null, null]")
    yield "an empty object", saved("{}")
    yield "a pipe", os.mkfifo
    yield "a device without end", lambda path: path.symlink_to("/dev/zero")
    yield "a link to itself", lambda path: path.symlink_to(path.name)
    yield "a folder", lambda path: path.mkdir()
    yield "a link to nothing", lambda path: path.symlink_to("nowhere")
