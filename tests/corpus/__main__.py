"""Run every case of the corpus and print a table: `python -m tests.corpus [READER ...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from .harness import faults

_FILES = (path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py"))
READERS = sorted(name for name in _FILES if not name.startswith(("fuzz", "harness")))
Check = Callable[[Path], list[str]]


def inputs(reader: str) -> Iterator[tuple[str, str, Check]]:
    """The inputs of `test_READER.py`: their kinds, names, and what is not right about each."""
    module = import_module(f"{__package__}.test_{reader}")
    for case in getattr(module, "CASES", ()):
        yield case.kind, str(case), lambda folder, case=case: faults(case, folder)
    if hasattr(module, "CASES"):
        return
    for kind in getattr(module, "KINDS", ()):  # given to the functions that read them
        yield kind.name, kind.name, lambda folder, kind=kind: _disagreement(module, kind, folder)


def _disagreement(module: object, kind: object, folder: Path) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        try:
            module.agrees(kind, folder, patch)  # type: ignore[attr-defined]
        except AssertionError as error:
            return [str(error)]
    return []


def main(readers: list[str]) -> int:
    """Print what is not right as it is found, and the table; gives the exit code."""
    table = Table("reader", "kinds", "inputs", "as they should be", box=None)
    wrong = 0
    for reader in readers:
        right: dict[str, list[bool]] = defaultdict(list)
        for kind, name, check in inputs(reader):
            with tempfile.TemporaryDirectory() as folder:
                found = check(Path(folder))
            right[kind].append(not found)
            if found:
                print(f"{reader}: {name}: {'; '.join(found)[:1000]}")
        every = [outcome for outcomes in right.values() for outcome in outcomes]
        wrong += len(every) - sum(every)
        if every:
            share = f"{sum(every)} ({sum(every) / len(every):.1%})"
            table.add_row(reader, str(len(right)), str(len(every)), share)
    Console().print(table)
    return int(wrong > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)}")
    options = parser.parse_args()
    if unknown := {*options.readers} - {*READERS}:
        parser.error(
            f"there is no reader {', '.join(sorted(unknown))}; known: {', '.join(READERS)}"
        )
    sys.exit(main(options.readers or READERS))
