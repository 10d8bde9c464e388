"""Readers on random input: by default the same cases in every run, so that what passes here passes
everywhere. `TRACE_EDGES_FUZZ=3600 pytest -m long tests/corpus -k fuzz` tries new ones, for an hour
each test.
"""

from __future__ import annotations

import os
import signal
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .reading import apart

SECONDS = float(os.environ.get("TRACE_EDGES_FUZZ", 0))
_LONGEST_CASE = 20  # s of CPU
_LONGEST_WAIT = 1800  # s: none of these tests should ever wait for anything
T = TypeVar("T")


def fuzzed(run: Callable[..., None], folder: Path, *arguments: object) -> None:
    """Runs a function of a module in a process of its own, and fails where it ended wrongly: with
    what was raised, and the inputs at work, which are called `it...`.

    Args:
        run: gets an empty folder and the arguments.
    """
    work = folder / "work"
    work.mkdir()
    code, told = apart(run, work, *arguments, seconds=SECONDS + _LONGEST_WAIT)
    if code != 0:
        inputs = {path.name: path.read_bytes()[:3000] for path in work.glob("it*")}
        raise AssertionError(f"exit code {code} over {inputs}\n{told[:8000]}")


def fuzz(cases: st.SearchStrategy[T], check: Callable[[T], object], examples: int) -> None:
    """Gives cases to a check, which raises where something is wrong or writes to standard error."""
    end = time.monotonic() + SECONDS

    @settings(
        max_examples=10**9 if SECONDS else examples, derandomize=not SECONDS, deadline=None,
        database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases)
    def once(case: T) -> None:
        if SECONDS and time.monotonic() > end:
            os._exit(0)
        signal.setitimer(signal.ITIMER_PROF, _LONGEST_CASE)  # of CPU; its signal ends the process
        check(case)
        signal.setitimer(signal.ITIMER_PROF, 0)
        assert not os.fstat(2).st_size, "standard error holds what is above"

    once()


def refusal(read: Callable[[], object], errors: tuple[type[Exception], ...]) -> str | None:
    """The one line by which something is refused; None where it is read. All else is a fault."""
    try:
        read()
    except errors as error:
        line = str(error)
        assert len(line.splitlines()) == 1, line
        assert len(line) < 1000, f"{len(line)} characters: {line[:300]}"
        line.encode()  # it can be printed
        return line
    return None


# Numbers that sizes and offsets overflow at, as files hold them.
_EDGES = [
    struct.pack(order + code, value % (1 << 8 * struct.calcsize(code)))
    for order in "<>"
    for code in "BHIQ"
    for value in (0, 1, -1, 1 << 15, (1 << 31) - 1, 1 << 31)
]
_edits = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "insert", "remove", "repeat"]),
        st.floats(0, 1) | st.floats(0, 0.1),  # of the file; its beginning is worth more
        st.binary(min_size=1, max_size=4) | st.sampled_from(_EDGES),
    ),
    max_size=5,
)


@st.composite
def changed(draw: Callable[..., T], seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with some bytes changed, and at times cut."""
    content = bytearray(draw(st.sampled_from(list(seeds))))  # type: ignore[arg-type]
    for what, place, new in draw(_edits):  # type: ignore[arg-type, attr-defined]
        at = int(place * len(content))
        if what == "replace":
            content[at : at + len(new)] = new
        elif what == "insert":
            content[at:at] = new
        elif what == "remove":
            del content[at : at + len(new)]
        else:
            content[at:at] = content[at : at + 16 * len(new)]
    length = draw(st.just(1.0) | st.just(1.0) | st.floats(0, 1))  # type: ignore[arg-type]
    return bytes(content[: round(length * len(content))])  # type: ignore[operator]


def with_right_checksums(png: bytes) -> bytes:
    """A PNG whose chunks would not be looked at for their checksums, put right."""
    if not png.startswith(b"\x89PNG\r\n\x1a\n"):
        return png
    content, place = bytearray(png), 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[place + 4 : end]))
        place = end + 4
    return bytes(content)
