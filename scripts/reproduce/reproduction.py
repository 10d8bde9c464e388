"""Parts of a table of the paper: its needs, the commands that it runs, the numbers of the paper."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Need:
    """Data or weights that nobody may ship with this package.

    Attributes:
        path: where it is looked for.
        what: it is.
        fetch: data set with its official page, hub id, or the program that makes it.
        layout: what lies at `path`.
        files: how many the paper's folder holds; with fewer it is a stand-in.
    """

    path: Path
    what: str
    fetch: str
    layout: str
    files: int = 0


@dataclass(frozen=True)
class Step:
    """One call of `trace-edges`.

    Attributes:
        command: the arguments.
        leaves: the file or folder that is there afterwards.
        numbers: metric -> keys that lead to it in the JSON `leaves`; of a folder, the median over
            the JSON files in it.
        unit: the number is multiplied by it, to be in the paper's unit.
    """

    command: tuple[str, ...]
    leaves: Path
    numbers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unit: float = 1

    def __str__(self) -> str:
        return shlex.join(("trace-edges", *self.command))


@dataclass(frozen=True)
class Expected:
    """A number of the paper, and how far from it a reproduction may be (ours: it gives none)."""

    row: str
    metric: str
    value: float
    tolerance: float


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        needs: checked before anything runs.
        work: in order; a need among the steps is what another program makes of their results.
        stand_in: why its numbers cannot be the paper's; they are shown and not compared.
    """

    name: str
    needs: tuple[Need, ...]
    work: tuple[Step | Need, ...]
    stand_in: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        name: of the script, and of the JSON it writes.
        title: what is measured.
        assumptions: what the paper leaves open, and what is taken here.
    """

    name: str
    title: str
    assumptions: tuple[str, ...]
    rows: tuple[Row, ...]
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class Options:
    """Options of the command line that a table is built from."""

    data: Path
    out: Path
    backbone: str = ""
    resolution: int | None = None
