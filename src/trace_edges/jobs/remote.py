"""What lies elsewhere: files through fsspec, read in pieces and written whole or not at all, and
data sets of the library `datasets`.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fsspec.asyn import sync
from fsspec.implementations.local import LocalFileSystem

from trace_edges.extras import require
from trace_edges.files import write_atomically
from trace_edges.jobs.stores import FileSystem, StoreFile, ask, filesystem, is_web, kind_of
from trace_edges.memory import free
from trace_edges.outputs import Outputs, current, digest_of

# What is put there becomes visible when it is complete; elsewhere a rename sees to that.
_WHOLE_PUTS = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}
_NO_FOLDER = errno.ENOTDIR, "is not a folder: give one for the results"
_PROBE = ".annotate-probe"
LARGEST = 4 << 30  # bytes of a file that is read whole: 400 megapixels of 16-bit RGBA take 3.2e9

HUB = "hf://datasets/"


def is_local(url: str) -> bool:
    """Whether a path or URL is one of this machine's files."""
    return isinstance(filesystem(url)[0], LocalFileSystem)


def in_memory(url: str) -> bool:
    """Whether only this very process sees what lies there."""
    return url.startswith("memory://")


def absolute(url: str) -> str:
    """A path from the root, so that it means the same in every process; a URL as it is, but for one
    of this machine.
    """
    if "://" in url:
        return filesystem(url)[1] if is_local(url) else url
    return os.path.abspath(url)


def is_within(url: str, folder: str) -> bool:
    """Whether it is the folder or lies in it."""
    (system, path), (other, base) = filesystem(url), filesystem(folder)
    return system == other and f"{path.rstrip('/')}/".startswith(f"{base.rstrip('/')}/")


def join(folder: str, name: str) -> str:
    """A name under a folder or URL."""
    return f"{folder.rstrip('/')}/{name}" if "://" in folder else os.path.join(folder, name)


def full_name(system: FileSystem, path: str) -> str:
    """The URL of a path, or the path itself on this machine."""
    return path if isinstance(system, LocalFileSystem) else system.unstrip_protocol(path)


def read_bytes(url: str, start: int | None = None, length: int | None = None) -> bytes:
    """All of a file, or `length` bytes from `start`.

    Raises:
        OSError: it is not there, cannot be read, or is larger than any image.
    """
    system, path = filesystem(url)
    http = is_web(url)  # whose answers need have no end
    if start is not None and length is not None:
        if http:
            return ask(url, lambda: sync(system.loop, _fetched, system, path, start, length))
        return bytes(ask(url, system.cat_file, path, start=start, end=start + length))
    if isinstance(system, LocalFileSystem):
        if kind_of(url) == "other":  # would wait for ever
            raise OSError(errno.EINVAL, "is a pipe or a device, no file", path)
        if os.path.exists(path) and os.path.getsize(path) > LARGEST:
            raise _too_long(path, LARGEST)
    if http:
        return ask(url, lambda: sync(system.loop, _fetched, system, path))
    return bytes(ask(url, system.cat_file, path))


async def _fetched(system: Any, url: str, start: int = 0, length: int | None = None) -> bytes:
    """The content of an address or a part of it, if that is no longer than `LARGEST` and fits the
    memory.
    """
    session, content = await system.set_session(), bytearray()
    most, options = min(LARGEST, free() // 2), dict(system.kwargs)
    if length is not None:
        wanted = {"Range": f"bytes={start}-{start + length - 1}"}
        options["headers"] = {**options.get("headers", {}), **wanted}
    async with session.get(system.encode_url(url), **options) as answer:
        answer.raise_for_status()
        before = 0 if answer.status == HTTPStatus.PARTIAL_CONTENT else start
        async for piece in answer.content.iter_any():  # of servers that know no parts, all
            content += piece[before:]
            before = max(0, before - len(piece))
            if length is not None and len(content) >= length:
                return bytes(content[:length])
            if len(content) > most:
                raise _too_long(url, most)
    return bytes(content)


def _too_long(path: str, most: int) -> OSError:
    return OSError(errno.EFBIG, f"is longer than {most:,} bytes", path)


def write_bytes(url: str, content: bytes) -> None:
    """Write a file, whole or not at all; under a guard (`Outputs`) only what is its own.

    Raises:
        FileError: the guard refuses.
        OSError: it cannot be written.
    """
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        ask(url, _write_here, path, content)
    else:
        _claim(url, content)
        _put(url, lambda place: system.pipe_file(place, content))


def put_file(local: Path, url: str) -> None:
    """Copy a finished file of this machine to where it belongs; as `write_bytes`."""
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        with write_atomically(path) as temporary:
            try:
                local.rename(temporary)
            except OSError:  # another disk
                temporary.write_bytes(local.read_bytes())
    else:
        _claim(url, local)
        _put(url, lambda place: system.put_file(str(local), place))


def check_free(url: str, outputs: Outputs) -> None:
    """Refuse, before work begins, a file that is there and not the command's.

    Raises:
        FileError: it is.
        OSError: its store does not answer.
    """
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        outputs.check(path)
    else:
        outputs.check_elsewhere(url, _digest_there(url))


def remove(url: str, *, recursive: bool = False) -> None:
    """Take away a file, or a folder with all in it, if it is there.

    Raises:
        OSError: it is there and stays.
    """
    if kind_of(url) is not None:
        system, path = filesystem(url)
        ask(url, _remove, system, path, recursive)


def check_writable(folder: str) -> None:
    """Write a file of no bytes to a folder or URL, and take it away. A folder of this machine that
    is not there yet is not made: whether it can be is asked.

    Raises:
        OSError: nothing can be written there.
    """
    if is_local(folder) and kind_of(folder) is None:
        above = next(one for one in Path(filesystem(folder)[1]).parents if one.exists())
        if not above.is_dir():
            raise NotADirectoryError(*_NO_FOLDER, str(above))
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "nothing can be written there", str(above))
        return
    if is_local(folder) and kind_of(folder) != "directory":
        raise NotADirectoryError(*_NO_FOLDER, filesystem(folder)[1])
    probe = join(folder, _PROBE)
    _put(probe, lambda place: filesystem(probe)[0].pipe_file(place, b""))
    with suppress(PermissionError):  # who may write need not have the right to remove
        remove(probe)


@lru_cache(maxsize=8)
def open_dataset(name: str, split: str | None, column: str, stamp: str) -> Any:
    """One split, its images as they are stored; the stamp tells it from what was there before."""
    library = require("datasets", "annotate")
    rows = load_rows(name, split)
    if isinstance(rows.features[column], library.Image):
        return rows.cast_column(column, library.Image(decode=False))
    return rows


def is_saved_dataset(folder: Path) -> bool:
    """Whether `datasets` saved this folder."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def load_rows(name: str, split: str | None) -> Any:
    """A split of a saved data set or of one on the hub; all splits where none is named."""
    library = require("datasets", "annotate")
    if is_saved_dataset(Path(name)):
        loaded = library.load_from_disk(name)
        return loaded if split is None else loaded[split]
    return library.load_dataset(name.removeprefix(HUB), split=split)


def _puts_whole(system: FileSystem) -> bool:
    protocols = system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)
    return bool(_WHOLE_PUTS.intersection(protocols))


def _claim(url: str, content: bytes | Path) -> None:
    """What is there and not ours is never replaced."""
    if (guard := current()) is not None:
        guard.claim(url, digest_of(content), _digest_there(url))


def _digest_there(url: str) -> str | None:
    if kind_of(url) is None:
        return None
    with StoreFile(url) as file:
        return digest_of(io.BufferedReader(file))


def _write_here(path: str, content: bytes) -> None:
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def _put(url: str, write: Callable[[str], Any]) -> None:
    system, path = filesystem(url)
    if _puts_whole(system):
        ask(url, write, path)
        return
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{secrets.token_hex(8)}.part-{name}"
    ask(url, system.makedirs, folder, exist_ok=True)
    try:
        ask(url, write, temporary)
        ask(url, _move, system, temporary, path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what matters
            ask(url, _remove, system, temporary, False)
        raise


def _move(system: FileSystem, temporary: str, path: str) -> None:
    try:
        system.mv(temporary, path)
    except (
        FileNotFoundError
    ):  # an earlier try did it, and the answer was lost; if not, info says so
        system.info(path)


def _remove(system: FileSystem, path: str, recursive: bool) -> None:
    try:
        system.rm(path, recursive=recursive)
    except FileNotFoundError:  # an earlier try did it, and the answer was lost
        return
