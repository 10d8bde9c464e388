"""A reader at work in a process of its own, with a bound on time and memory: how it ended."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from .harness import PRELOADED

SECONDS, MEGABYTES = 60.0, 1500
_SOUND, _REFUSED, _RAISED = 0, 3, 4


class Refused(Exception):
    """What a process of its own ends with where a reader refuses, in its words."""


def apart(
    run: Callable[..., object],
    *arguments: object,
    seconds: float = SECONDS,
    environment: Mapping[str, str] | None = None,
) -> tuple[int | None, str]:
    """How a function of a module ends in a process of its own, since decoders may crash.

    Returns:
        0, 3 where it raised `Refused`, 4 where it raised anything else, negative after a signal,
        None where it had not ended in time; and what was written to standard error.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as place:
        told = Path(place, "told")
        process = context.Process(
            target=_here, args=(run, arguments, told, dict(environment or {}))
        )
        process.start()
        process.join(seconds)
        late = process.is_alive()
        if late:
            process.kill()
            process.join()
        message = told.read_text(encoding="utf-8", errors="replace") if told.exists() else ""
    return None if late else process.exitcode, message


def _here(
    run: Callable[..., object], arguments: tuple[object, ...], told: Path,
    environment: dict[str, str],
) -> None:  # fmt: skip
    os.dup2(os.open(told, os.O_CREAT | os.O_RDWR | os.O_APPEND), 2)
    os.environ.update({"TRACE_EDGES_CACHE": str(told.parent), **environment})
    taken = (
        int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        * resource.getpagesize()
    )
    limit = taken + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    code = _SOUND
    try:
        run(*arguments)
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        code = _REFUSED
    except BaseException:  # noqa: BLE001  what it is, is told to the test
        traceback.print_exc()
        code = _RAISED
    sys.stderr.flush()
    os._exit(code)


def told(
    read: Callable[[Path], object],
    path: Path,
    refusals: tuple[type[Exception], ...],
    environment: Mapping[str, str] | None = None,
) -> str | None:
    """What a reader says of a file: None where it reads it, else its refusal in one line.

    Fails the test where anything else happens: another exception, a signal, no end, a line that
    nobody reads, or anything on standard error.

    Args:
        read: a function of a module, as it runs elsewhere.
        path: what it is given.
        refusals: exceptions by which it may refuse.
        environment: set while it reads.
    """
    code, message = apart(_refusing, read, path, refusals, environment=environment)
    assert code is not None, f"{path.name}: no end within {SECONDS} s"
    assert code in (_SOUND, _REFUSED), f"{path.name}: {code} {message[-1000:]}"
    if code == _SOUND:
        assert not message, f"{path.name}: {message}"
        return None
    assert len(message.splitlines()) == 1, f"{path.name}: not one line: {message!r}"
    assert len(message) < 600, f"{path.name}: nobody reads to the end of {message!r}"
    return message


def _refusing(
    read: Callable[[Path], object], path: Path, refusals: tuple[type[Exception], ...]
) -> None:
    try:
        read(path)
    except refusals as error:
        raise Refused(error) from error


def each(readers: tuple[Callable[[Path], object], ...], sound: bool | None, path: Path) -> None:
    """Raises an AssertionError where one of the readers does not do with a file what it should.

    Args:
        readers: functions that refuse by a ValueError of one line that names the file.
        sound: they must read it (True), must refuse it (False), or may do either (None).
        path: the file.
    """
    for read in readers:
        try:
            read(path)
            line = None
        except ValueError as error:
            line = str(error)
        assert sound is None or sound == (line is None), f"{read.__name__}: {line}"
        if line is not None:
            one = path.name in line and len(line.splitlines()) == 1 and len(line) < 600
            assert one, f"{read.__name__}: {line!r}"
