"""Run every case of the corpus and print a table: python -m tests.corpus [READER ...]."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .harness import Case, faults


def cases(reader: str) -> list[Case]:
    """The cases of `test_READER.py`."""
    return list(import_module(f"{__package__}.test_{reader}").CASES)


def main(readers: list[str]) -> int:
    """Print what is not right as it is found, and the table; gives the exit code."""
    here = sorted(path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*"))
    table = Table("reader", "kinds", "inputs", "as they should be", box=None)
    wrong = 0
    for reader in readers or here:
        if not hasattr(import_module(f"{__package__}.test_{reader}"), "CASES"):
            continue
        right: dict[str, list[bool]] = defaultdict(list)
        for case in cases(reader):
            with tempfile.TemporaryDirectory() as folder:
                found = faults(case, Path(folder))
            right[case.kind].append(not found)
            if found:
                print(f"{reader}: {case}: {'; '.join(found[:-1])}")
        every = [outcome for outcomes in right.values() for outcome in outcomes]
        wrong += len(every) - sum(every)
        share = f"{sum(every)} ({sum(every) / len(every):.1%})"
        table.add_row(reader, str(len(right)), str(len(every)), share)
    Console().print(table)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
