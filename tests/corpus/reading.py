"""A reader at work in a process of its own, with a bound on time and memory: how it ended."""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from .harness import PRELOADED

SECONDS, MEGABYTES = 20.0, 1500
_SOUND, _REFUSED, _RAISED = 0, 3, 4


def told(
    read: Callable[[Path], object],
    path: Path,
    refusals: tuple[type[Exception], ...],
    environment: Mapping[str, str] | None = None,
) -> str | None:
    """What a reader says of a file: None where it reads it, else its refusal in one line.

    Fails the test where anything else happens: another exception, a signal, no end, or a line that
    nobody reads.

    Args:
        read: a function of a module, as it runs elsewhere.
        path: what it is given.
        refusals: exceptions by which it may refuse.
        environment: set while it reads.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as place:
        words = Path(place, "told")
        process = context.Process(
            target=_read_here, args=(read, path, refusals, words, dict(environment or {}))
        )
        process.start()
        process.join(SECONDS)
        late = process.is_alive()
        if late:
            process.kill()
            process.join()
        message = words.read_text(encoding="utf-8") if words.exists() else ""
    assert not late, f"{path.name}: no end within {SECONDS} s"
    assert process.exitcode in (_SOUND, _REFUSED), f"{path.name}: {process.exitcode} {message}"
    if process.exitcode == _SOUND:
        return None
    assert len(message.splitlines()) == 1, f"{path.name}: not one line: {message!r}"
    assert len(message) < 600, f"{path.name}: nobody reads to the end of {message!r}"
    return message


def _read_here(
    read: Callable[[Path], object],
    path: Path,
    refusals: tuple[type[Exception], ...],
    words: Path,
    environment: dict[str, str],
) -> None:
    os.environ.update(environment)
    taken = (
        int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        * resource.getpagesize()
    )
    limit = taken + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    code = _SOUND
    try:
        read(path)
    except refusals as error:
        words.write_text(str(error), encoding="utf-8")
        code = _REFUSED
    except BaseException as error:  # noqa: BLE001  what it is, is told to the test
        words.write_text(f"{type(error).__name__}: {error}"[:1000], encoding="utf-8")
        code = _RAISED
    os._exit(code)


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
