"""What is wrong with a file or an input, in one line that names it and says what to do."""

from __future__ import annotations

import os

_LONGEST = 400  # characters of what is wrong: a file may hold a name or list of any length


class InputError(ValueError):
    """An input that leads to no image: one line that names it and says what to do."""


class FileError(ValueError):
    """A file whose content cannot be used, in one line.

    Attributes:
        path: which file.
        problem: what is wrong with it.
        mend: what to do.
    """

    def __init__(self, path: str | os.PathLike[str], problem: str, mend: str) -> None:
        super().__init__(path, problem, mend)  # all of it, so that a worker can send it home
        self.path, self.problem, self.mend = path, problem, mend

    def __str__(self) -> str:
        return " ".join(f"{self.path} {in_brief(self.problem)}: {self.mend}".splitlines())


def in_brief(problem: str) -> str:
    """What is wrong, cut where nobody would read on."""
    return problem if len(problem) <= _LONGEST else f"{problem[:_LONGEST]} ..."
