"""What the pages of the documents tell people to type, in the order in which they say it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_CODE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
_SHELL = ("", "sh", "console")
# Code within a sentence that is a command, and one that has arguments beside its name.
_INLINE = re.compile(r"(?:trace-edges|python -m|make|pip install) \S")
_ARGUMENTS = re.compile(r"trace-edges \w+ .*[./-]|python -m .* (?:-|[A-Z])|make |pip ")


def name_of(page: Path) -> str:
    """How the tests call a page: its path below docs/."""
    return os.path.relpath(page, ROOT / "docs").replace(os.sep, "/")


def steps(page: Path) -> Iterator[tuple[str, str]]:
    """From the top of a page to its end: ("python", a block), ("shell", a line) and ("name", a
    command without its arguments).
    """
    for indent, language, block, inline in _CODE.findall(page.read_text(encoding="utf-8")):
        if inline:
            if _INLINE.match(inline):
                yield "shell" if _ARGUMENTS.match(inline) else "name", inline
        elif language == "python":
            yield "python", re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
        elif language in _SHELL:
            yield from (("shell", line) for line in lines(block))


def lines(block: str) -> Iterator[str]:
    """The lines of a block of a shell, continued ones joined, without comments."""
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        if command := re.split(r"^\s*#|\s#(?:\s|$)", line)[0].strip():
            yield command
