"""What the commands share: errors in one line, a progress bar, a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trace_edges.extras import MissingExtraError

_INTERRUPTED = 130  # as shells report a process that Ctrl-C ended

errors = Console(stderr=True, soft_wrap=True, highlight=False)
console = Console(soft_wrap=True, highlight=False)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Wrong input ends in one line and a non-zero exit; programming errors keep their traceback."""
    try:
        yield
    except KeyboardInterrupt:
        error("stopped; what was finished is kept, the same command goes on from there")
        raise typer.Exit(_INTERRUPTED) from None
    except OSError as problem:
        known = problem.filename and problem.strerror  # without them the message is all there is
        error(f"{problem.filename}: {problem.strerror}" if known else str(problem))
        raise typer.Exit(1) from problem
    except (ValueError, MissingExtraError) as problem:
        error(str(problem))
        raise typer.Exit(1) from problem


def error(message: str, subject: Path | None = None) -> None:
    line = " ".join(f"{subject}: {message}".split() if subject else message.split())
    errors.print(f"[red]trace-edges:[/] {escape(line)}")


@contextmanager
def progress(total: int, what: str, hidden: bool) -> Iterator[Callable[[], None]]:
    """A bar on standard error; gives the function that moves it on by one."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = hidden or not errors.is_terminal
    with Progress(*columns, console=errors, disable=hidden, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
