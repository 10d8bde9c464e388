"""Files: written whole or not at all, and read."""

import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import blake2b
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from trace_edges import outputs
from trace_edges.errors import FileError as FileError
from trace_edges.errors import InputError as InputError
from trace_edges.inputs import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from trace_edges.inputs import RESULT_SUFFIXES as RESULT_SUFFIXES
from trace_edges.inputs import Found as Found
from trace_edges.inputs import find_images as find_images
from trace_edges.memory import bounded

# A name of `write_atomically`: the machine and its start, the process, and a number.
_TEMPORARY = re.compile(r"\.([0-9a-f]{6})([0-9a-f]{6})[0-9a-f]{4}\.part(\..*)?")
_numbers = cycle(range(1 << 16))
_LONGEST_TEXT = 64 << 20  # bytes
_DAY = 86400.0  # s after which what another machine left is no longer being written


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a path to write to; what is there at the end replaces `path` at once, or not at all.

    The temporary path is hidden, unique, in the folder of `path` (which is made) and with its
    suffix, from which writers take the format. Whatever is raised inside removes it, an interrupt
    too, and leaves an older `path` as it was. Commands write under a guard (`Outputs`), which
    refuses to replace what is not theirs; and what a killed process left in the folder is removed.

    Raises:
        FileError: the guard refuses.
        OSError: As it came (a full disk, no permission), naming `path`.
    """
    target = Path(path)
    temporary = target.with_name(f".{_home()}{os.getpid():06x}{next(_numbers):04x}.part"
                                 f"{target.suffix}")  # fmt: skip
    guard = outputs.current()
    try:
        if guard is not None:
            guard.check(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if guard is not None and guard.first_in(target.parent):
            _remove_abandoned(target.parent, os.listdir(target.parent))
        yield temporary
        if guard is not None:
            guard.check(target)  # again: it took a while
            guard.note(temporary, target)
        temporary.replace(target)
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(temporary):
            raise  # it names another file: a folder that cannot be made, or an input
        if error.errno is None:
            raise OSError(f"{target}: {error}") from error
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        with suppress(OSError):  # what went wrong first is what matters
            temporary.unlink(missing_ok=True)


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write text as UTF-8 with plain line feeds; errors as in `write_atomically`."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(content: Any, path: str | os.PathLike[str], *, indent: int | None = None) -> None:
    """Write JSON in the order of the content: equal contents give equal bytes.

    Args:
        content: plain JSON values.
        path: where to.
        indent: spaces by which lists and dictionaries are set in; None writes one compact line.

    Raises:
        OSError: as in `write_atomically`.
        ValueError: a number is not finite, which JSON cannot hold.
    """
    separators = (",", ":") if indent is None else None
    with write_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=indent, separators=separators, allow_nan=False)
        file.write("\n")


def write_npy(array: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write an array as .npy; errors as in `write_atomically`."""
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse by a `FileError` what could be waited for for ever: a pipe or device."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise FileError(path, "is not a regular file", "give a file, not a pipe or device")


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file of UTF-8, without the mark that editors of Windows put first.

    Raises:
        OSError: there is no such file, or it cannot be read.
        FileError: it is a pipe or device, no UTF-8, or larger than 64 MiB.
    """
    check_regular(path)
    with open(path, "rb") as file:
        content = file.read(_LONGEST_TEXT + 1)
    if len(content) > _LONGEST_TEXT:
        raise FileError(path, "has more than 64 MiB", "split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(path, "is not text in UTF-8", "save it as UTF-8") from error


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: there is no such file, or it cannot be read.
        FileError: a `ValueError` of one line: it holds no JSON, or more than fits the memory.
    """
    check_regular(path)
    return parse_json(lambda: Path(path).read_bytes(), path)


def parse_json(read: Callable[[], bytes], path: str | os.PathLike[str]) -> Any:
    """`read_json` of what a function reads, which messages call `path`."""
    try:
        with bounded():
            return json.loads(read(), object_pairs_hook=_unique)
    except MemoryError as error:
        raise FileError(path, "is JSON of more than fits the memory", "split it") from error
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is not valid JSON ({error})", "write or fetch it again") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, in which every key has one value."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"an object has two values for {json.dumps(twice)[:40]}")
    return content


def remove_temporaries(folder: str | os.PathLike[str]) -> None:
    """Take away what `write_atomically` left in a folder, and below it, when it was killed.

    What a process that lives is still writing stays.
    """
    for place, _, names in os.walk(folder):
        _remove_abandoned(Path(place), names)


def _remove_abandoned(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if (found := _TEMPORARY.fullmatch(name)) is None:
            continue
        path = folder / name
        with suppress(FileNotFoundError):  # its process ended in between
            written = path.stat().st_mtime
            if found[1] == _home():
                abandoned = not _lives(int(found[2], 16), written)
            else:
                abandoned = time.time() - written > _DAY
            if abandoned:
                path.unlink()


def _lives(process: int, since: float) -> bool:
    """Whether a process that wrote then lives, and the number is not another's by now."""
    try:
        found = psutil.Process(process)
        return found.status() != psutil.STATUS_ZOMBIE and found.create_time() <= since + 1
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


@lru_cache(maxsize=1)
def _home() -> str:
    """Where numbers of processes mean something: one machine since it was started, and in it one
    container.
    """
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")
        where = f"{socket.gethostname()} {start} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        where = f"{socket.gethostname()} {psutil.boot_time() // 60}"
    return blake2b(where.encode(), digest_size=3).hexdigest()
