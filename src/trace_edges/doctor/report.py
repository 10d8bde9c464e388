"""Checks, one after the other, and what they found; a check that fails does not stop the next."""

from __future__ import annotations

import textwrap
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

State = Literal["ok", "note", "broken"]

_MARKS = {"ok": " ", "note": "*", "broken": "!"}
_WIDTH = 100
_REPORT = "report this, with what --json writes"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it is.
        told: what was found of it.
        state: "ok"; "note", what one should know; "broken", what does not work.
        mend: what the user can do about it.
        details: a traceback, for the developers.
    """

    subject: str
    told: str
    state: State = "ok"
    mend: str = ""
    details: str = ""

    def as_text(self) -> str:
        """As it stands in a bug report, without the details."""
        told = f"{self.told}; {self.mend}" if self.mend else self.told
        head = f"{_MARKS[self.state]} {self.subject:<16} "
        return textwrap.fill(
            told, _WIDTH, initial_indent=head, subsequent_indent=" " * 19,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip


@dataclass(frozen=True)
class Section:
    """What one check found, and the seconds it took."""

    title: str
    findings: tuple[Finding, ...]
    seconds: float

    def as_text(self) -> str:
        """The title, and a line for each finding."""
        return "\n".join([f"{self.title}:", *(one.as_text() for one in self.findings)])

    def as_json(self) -> dict[str, Any]:
        """All of it, tracebacks included."""
        return asdict(self)


Check = Callable[[str], Iterable[Finding]]
"""Takes a device as `--device` names it."""


def examine(checks: Mapping[str, Check], device: str = "auto") -> Iterator[Section]:
    """Run checks in turn; gives what each of them found as soon as it is done.

    Args:
        checks: by title.
        device: "auto", "cpu", "cuda", "cuda:1", "mps", ...
    """
    for title, check in checks.items():
        started = time.perf_counter()
        findings = tuple(attempted(title, partial(check, device)))
        yield Section(title, findings, round(time.perf_counter() - started, 3))


def attempted(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What is found, and at the end what was raised, if anything was."""
    try:
        yield from look()
    # Broken drivers, compilers and libraries that do not fit each other raise what they like, and
    # finding out is what this is for: what was raised becomes the finding.
    except Exception as error:  # noqa: BLE001
        lines = str(error).strip().splitlines()
        told = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        details = without_home("".join(traceback.format_exception(error)))
        yield Finding(subject, without_home(told), "broken", _REPORT, details)


def without_home(text: str) -> str:
    """The text with the user's home folder as ~: reports are published."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text
