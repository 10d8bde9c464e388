"""Run a table as far as data and weights reach, and hold it against the paper.

Exit status: 0 measured, and nothing outside its tolerance; 1 a number outside; 2 data or weights
are missing (one line says which); 3 a step failed; 130 stopped by hand.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reproduction import Need, Options, Row, Step, Table

from trace_edges.files import write_atomically


class Missing(Exception):
    """Data or weights that are not there."""


class Failed(Exception):
    """A step that did not do its work."""


def main(build: Callable[[Options], Table], arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, build the table, run it; gives the exit status."""
    parser = argparse.ArgumentParser(description=sys.modules[build.__module__].__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of the data; --dry-run prints its layout"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for all results")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the layout of the data and the commands, and run nothing",
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the table to compute")
    parser.add_argument(
        "--backbone",
        default="",
        help="backbone to use instead of the paper's, without distillation",
    )
    parser.add_argument("--resolution", type=int, help="size at which that backbone sees images")
    given = parser.parse_args(arguments)
    if given.resolution and not given.backbone:
        parser.error("--resolution goes with --backbone")
    data, out = given.data.resolve(), given.out.resolve()
    table = build(Options(data, out, given.backbone, given.resolution))
    names = [row.name for row in table.rows]
    if unknown := set(given.rows or ()) - set(names):
        parser.error(f"there is no row {min(unknown)!r}: choose from {', '.join(names)}")
    rows = tuple(row for row in table.rows if not given.rows or row.name in given.rows)
    print_head(table)
    if given.dry_run:
        print_plan(rows)
        return 0
    try:
        return run(table, rows, out)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from there", file=sys.stderr)
        return 130


def run(table: Table, rows: Sequence[Row], out: Path) -> int:
    """Measure the rows as far as data and weights reach; gives the exit status."""
    measured: dict[tuple[str, str], float] = {}
    status, stopped = 0, ""
    try:
        for row in rows:
            for need in row.needs:
                check(need)
        # Only now, so that no long run ends at a file that was never there.
        for row in rows:
            for part in row.work:
                if isinstance(part, Need):
                    check(part)
                    continue
                perform(part, out)
                for metric in part.numbers:
                    measured[row.name, metric] = read_number(part, metric)
    except (Missing, Failed) as problem:
        status, stopped = 2 if isinstance(problem, Missing) else 3, f"{row.name}: {problem}"
    if measured or not stopped:
        results = compare(table, rows, measured)
        print_results(results)
        record = {
            "table": table.name,
            "assumptions": table.assumptions,
            "results": results,
            "stopped": stopped,
            "commands": [str(p) for row in rows for p in row.work if isinstance(p, Step)],
            "trace_edges": version("trace-edges"),
        }
        with write_atomically(out / f"{table.name}.json") as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if not stopped and any(result["verdict"] == "outside" for result in results):
            status = 1
    if stopped:
        print(f"{table.name}, {stopped}", file=sys.stderr)
    return status


def check(need: Need) -> None:
    """Raise `Missing` unless it is there."""
    if not need.path.exists():
        raise Missing(
            f"{need.path} is missing: {need.what}; fetch: {need.fetch}; layout: {need.layout}"
        )


def perform(step: Step, out: Path) -> None:
    """Run a step, unless this version ran the same command before and its result is there."""
    key = json.dumps([version("trace-edges"), *step.command])
    record = out / "steps" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if record.exists() and step.leaves.exists():
        print(f"there already: {step.leaves}", flush=True)
        return
    print(f"$ {step}", flush=True)
    if status := call(step.command):
        raise Failed(f"`{step}` ended with exit status {status}")
    if not step.leaves.exists():
        raise Failed(f"`{step}` did not leave {step.leaves}")
    with write_atomically(record) as temporary:
        temporary.write_text(key + "\n", encoding="utf-8")


def call(command: Sequence[str]) -> int:
    """The exit status of `trace-edges` with these arguments."""
    return subprocess.run([sys.executable, "-m", "trace_edges", *command]).returncode


def read_number(step: Step, metric: str) -> float:
    """The number that a step left; `Failed` where there is none."""
    files = sorted(step.leaves.glob("*.json")) if step.leaves.is_dir() else [step.leaves]
    values = []
    for file in files:
        value = json.loads(file.read_text(encoding="utf-8"))
        for key in step.numbers[metric]:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, int | float):
            raise Failed(f"{file} holds no number at {'.'.join(step.numbers[metric])}")
        values.append(value)
    if not values:
        raise Failed(f"{step.leaves} holds no record")
    return step.unit * statistics.median(values)


def compare(
    table: Table, rows: Sequence[Row], measured: Mapping[tuple[str, str], float]
) -> list[dict[str, Any]]:
    """One result for each number of the paper, and for each that was measured beside them."""
    expected = {(one.row, one.metric): one for one in table.expected}
    stand_ins = {row.name: stand_in(row) for row in rows}
    results = []
    for key in dict.fromkeys([*expected, *measured]):
        if key[0] not in stand_ins:
            continue
        paper, value = expected.get(key), measured.get(key)
        if value is None:
            verdict = "not measured"
        elif paper is None or stand_ins[key[0]]:
            verdict = "not compared"
        else:
            verdict = "within" if abs(value - paper.value) <= paper.tolerance else "outside"
        results.append(
            {
                "row": key[0],
                "metric": key[1],
                "paper": paper and paper.value,
                "tolerance": paper and paper.tolerance,
                "measured": value,
                "verdict": verdict,
                "stand_in": stand_ins[key[0]],
            }
        )
    return results


def stand_in(row: Row) -> str:
    """Why the numbers of this row are not the paper's; empty if nothing is known against it."""
    reasons = [row.stand_in] if row.stand_in else []
    for need in row.needs:
        if need.files and need.path.is_dir():
            count = sum(not path.name.startswith(".") for path in need.path.iterdir())
            if count < need.files:
                reasons.append(f"{count} of the paper's {need.files} files in {need.path.name}")
    return "; ".join(reasons)


def print_head(table: Table) -> None:
    """The table, and what its numbers rest on."""
    print(table.title)
    print("The paper leaves open, and here is taken:")
    for assumption in table.assumptions:
        print(f"- {assumption}")


def print_plan(rows: Sequence[Row]) -> None:
    """Places of all data and weights, each once, and the commands."""
    parts = [part for row in rows for part in (*row.needs, *row.work)]
    print("\nTo be there:")
    for need in dict.fromkeys(part for part in parts if isinstance(part, Need)):
        print(f"  {need.path}\n    {need.what}: {need.layout}\n    fetch: {need.fetch}")
    for row in rows:
        print(f"\n{row.name}" + (f" ({row.stand_in})" if row.stand_in else ""))
        for part in row.work:
            if isinstance(part, Need):
                print(f"  then needs {part.path}: {part.fetch}")
            else:
                print(f"  {part}")


def print_results(results: Sequence[Mapping[str, Any]]) -> None:
    """Paper, tolerance and measured, one number a line."""
    head = ("row", "metric", "paper's", "tolerance", "measured", "")
    lines = [head]
    for one in results:
        numbers = (one["paper"], one["tolerance"], one["measured"])
        cells = ("-" if number is None else f"{number:.5g}" for number in numbers)
        lines.append((one["row"], one["metric"], *cells, one["verdict"]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    for row, reason in {one["row"]: one["stand_in"] for one in results}.items():
        if reason:
            print(f"{row} is not the paper's: {reason}")
