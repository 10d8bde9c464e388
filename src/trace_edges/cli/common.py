"""What the commands share: errors in one line, a progress bar, a table."""

from __future__ import annotations

import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from trace_edges.checks import printable
from trace_edges.extras import LEFT_OUT, MissingExtraError
from trace_edges.outputs import Outputs

Cell: TypeAlias = Callable[[Mapping[str, Any]], str]
_TABLE_ROWS = 30
_GONE = "there is no such file or folder; check the path"
_A_FOLDER = "is a folder; give a file"
_INTERRUPTED = 130  # as shells report a process that Ctrl-C ended
_NOBODY_READS = 141  # and one that wrote into a pipe that was closed, as `head` does


class _Console(Console):
    """A console that leaves a closed pipe to `plain_errors`."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


errors = Console(stderr=True, soft_wrap=True, highlight=False)
console = _Console(soft_wrap=True, highlight=False)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Wrong input ends in one line and a non-zero exit; programming errors keep their traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that are no UTF-8 are written out
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()  # what nobody reads any more is noticed here, not at the very end
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise typer.Exit(_NOBODY_READS) from None
    except KeyboardInterrupt:
        error("stopped; what was finished is kept, and the same command continues from there")
        raise typer.Exit(_INTERRUPTED) from None
    except ModuleNotFoundError as problem:
        if (missing := LEFT_OUT.get((problem.name or "").split(".")[0])) is None:
            raise
        error(f"{missing} is not installed: detect works without it, and for all else install the "
              "whole package, pip install trace-edges")  # fmt: skip
        raise typer.Exit(1) from problem
    except OSError as problem:
        known = problem.filename and problem.strerror  # without them the message is all there is
        mends = {FileNotFoundError: _GONE, IsADirectoryError: _A_FOLDER}
        told = mends.get(type(problem), problem.strerror)
        error(f"{problem.filename}: {told}" if known else str(problem))
        raise typer.Exit(1) from problem
    except (ValueError, MissingExtraError) as problem:
        error(str(problem))
        raise typer.Exit(1) from problem


def error(message: str, subject: Path | None = None) -> None:
    line = " ".join(f"{subject}: {message}".split() if subject else message.split())
    errors.print(f"[red]trace-edges:[/] {escape(printable(line))}")


def waiting(what: str, hidden: bool) -> AbstractContextManager[object]:
    """A spinner on standard error while nothing can be counted, as while a model is loaded."""
    if hidden or not errors.is_terminal:
        return nullcontext()
    return errors.status(f"loading {escape(what)} ...")


@contextmanager
def progress(total: int, what: str, hidden: bool) -> Iterator[Callable[[], None]]:
    """A bar on standard error; gives the function that moves it on by one."""
    if hidden or not errors.is_terminal:  # rich before 14.3 ends a disabled bar with a line
        yield lambda: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def plain_table(columns: Iterable[str], left: Collection[str] = ()) -> Table:
    """A table without lines, of columns with these titles; those on the left are folded."""
    table = Table(box=None, header_style="bold")
    for column in columns:
        if column in left:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def print_outcomes(
    outcomes: Sequence[Any],
    out: Path,
    stepped: bool,
    after_size: Mapping[str, Cell] | None = None,
    last: Mapping[str, Cell] | None = None,
) -> None:
    """A table of the records of what was done, and how many images ended in each state.

    Args:
        stepped: the model has steps, of which one was read.
        after_size, last: further columns by title, and what of a record stands there.
    """
    columns: dict[str, Cell] = {
        "image": image_cell,
        "size": lambda record: f"{record['width']} x {record['height']}",
    }
    if stepped:
        columns["t*"] = lambda record: str(record["timestep"])
    columns |= after_size or {}
    columns["seconds"] = lambda record: f"{record['seconds']:.1f}"
    columns |= last or {}
    if any(outcome.record.get("notes") for outcome in outcomes):
        columns["notes"] = lambda record: escape("; ".join(record.get("notes", ())))
    table = plain_table(columns, left=("image", "size", "edges", "notes"))
    done = [outcome.record for outcome in outcomes if outcome.state == "done"]
    for record in done[:_TABLE_ROWS]:
        table.add_row(*(cell(record) for cell in columns.values()))
    if done:
        console.print(table)
    if len(done) > _TABLE_ROWS:
        console.print(f"... and {len(done) - _TABLE_ROWS} more in {escape(str(out))}")
    states = Counter(outcome.state for outcome in outcomes)
    console.print(", ".join(f"{states[state]} {state}" for state in ("done", "skipped", "failed")))


def image_cell(record: Mapping[str, Any]) -> str:
    return escape(printable(record["image"]))


@contextmanager
def image_progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar for functions that call back with how many images are done, and how many there are."""
    with ExitStack() as bar:
        advance: Callable[[], None] | None = None

        def report(done: int, total: int) -> None:
            nonlocal advance
            if advance is None:  # how many images there are is known only now
                advance = bar.enter_context(progress(total, "images", quiet))
            advance()

        yield report


def report_notes(outcomes: Sequence[Any]) -> None:
    """Print what is noted of images, and of how many."""
    notes = Counter(note for outcome in outcomes for note in outcome.record.get("notes", ()))
    for note, count in notes.items():
        errors.print(escape(f"{count} of {len(outcomes)} images: {note}"))


def report_failures(outcomes: Sequence[Any]) -> int:
    """Print why images failed; gives how many did."""
    messages = [outcome.message for outcome in outcomes if outcome.message]
    report_first(messages, len(messages), "more images failed")
    return len(messages)


def say_left(outputs: Outputs, out: Path) -> None:
    """Print which files of an earlier run of the command lie among those of this one."""
    if left := outputs.left(out):
        are = f"and {len(left) - 1} more are" if left[1:] else "is"
        error(f"{left[0]} {are} of an earlier {outputs.command}, not of these results: remove what "
              "is no longer wanted, or give another folder")  # fmt: skip


def report_first(messages: Sequence[object], number: int, rest: str, most: int = 20) -> None:
    """Print the first messages, and of how many others nothing is said."""
    for message in messages[:most]:
        error(str(message))
    if (more := number - min(len(messages), most)) > 0:
        errors.print(escape(f"... and {more} {rest}"))
