"""A command in a process of its own, stopped at one of the moments at which it touches files."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from contextvars import Context
from pathlib import Path
from typing import Any

_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")


def run(folder: Path, words: str, stop: tuple[int, int, float] | None = None) -> tuple[int, str]:
    """Run a command in a folder; its exit code (as `Process` has it), and what it said.

    Args:
        stop: at which event, by which signal, and how many seconds after it.
    """
    context = multiprocessing.get_context("fork")
    said = folder.with_suffix(".said")
    process = context.Process(target=run_here, args=(folder, said, words.split(), stop))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, said.read_text(encoding="utf-8", errors="replace")


def moments(folder: Path) -> int:
    """How many events the last command in a folder had."""
    return int(folder.with_suffix(".events").read_text(encoding="utf-8"))


def run_here(
    folder: Path, said: Path, words: list[str], stop: tuple[int, int, float] | None
) -> None:
    import torch

    from recipes.trace_mini.__main__ import app as recipes
    from trace_edges.cli import app as commands

    with said.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # Whatever stood in their place in the process that forked.
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells turn off behind an &
    torch.set_num_threads(1)
    seen = _watch(folder, stop)
    try:
        app = recipes if words[0] == "composites" else commands
        Context().run(app, words, prog_name="trace-edges")  # not under the guard of this benchmark
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter would: a traceback and a code
        traceback.print_exc()
        code = 70
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command has ended
    folder.with_suffix(".events").write_text(str(next(seen)), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _watch(folder: Path, stop: tuple[int, int, float] | None) -> itertools.count[int]:
    """Count what happens to files below a folder, and stop this process at one of the events."""
    counted, place = itertools.count(), f"{folder}{os.sep}"

    def watch(event: str, values: tuple[Any, ...]) -> None:
        if event not in _EVENTS or not isinstance(values[0], str | os.PathLike):
            return
        path = os.fspath(values[0])
        if os.path.isabs(path) and not path.startswith(place):
            return
        if next(counted) == (stop or (-1,))[0] and stop is not None:
            _, number, delay = stop
            if delay:
                threading.Timer(delay, os.kill, (os.getpid(), number)).start()
            else:
                os.kill(os.getpid(), number)

    sys.addaudithook(watch)
    return counted
