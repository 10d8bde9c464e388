"""What lies elsewhere: files through fsspec, read in pieces and written whole or not at all, and
data sets of the library `datasets`.
"""

from __future__ import annotations

import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import fsspec
from fsspec.implementations.local import LocalFileSystem

from trace_edges.extras import MissingExtraError, require
from trace_edges.files import InputError, write_atomically

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
# What is put there becomes visible when it is complete; elsewhere a rename sees to that.
_WHOLE_PUTS = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}

HUB = "hf://datasets/"

FileSystem: TypeAlias = fsspec.AbstractFileSystem


def filesystem(url: str) -> tuple[FileSystem, str]:
    """What a path or URL lies on, and the path there.

    Raises:
        InputError: nothing is known of this kind of URL.
        MissingExtraError: its library is not installed.
    """
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        protocol = url.split("://")[0]
        if protocol not in _EXTRAS:
            raise MissingExtraError(f"{url}: {error}") from error
        extra = _EXTRAS[protocol]
        message = f'{url}: {error}; pip install "trace-edges[{extra}]"'
        raise MissingExtraError(message) from error
    except ValueError as error:
        raise InputError(f"{url}: {error}; give a path, s3://, gs://, or what fsspec knows") from (
            error
        )


def is_local(url: str) -> bool:
    """Whether a path or URL is one of this machine's files."""
    return isinstance(filesystem(url)[0], LocalFileSystem)


def in_memory(url: str) -> bool:
    """Whether only this very process sees what lies there."""
    return url.startswith("memory://")


def absolute(url: str) -> str:
    """A path from the root, so that it means the same in every process; a URL as it is."""
    return url if "://" in url else os.path.abspath(url)


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
        OSError: it is not there or cannot be read.
    """
    system, path = filesystem(url)
    end = None if start is None or length is None else start + length
    return system.cat_file(path, start=start, end=end)


def write_bytes(url: str, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        with write_atomically(path) as temporary:
            temporary.write_bytes(content)
    elif _puts_whole(system):
        system.pipe_file(path, content)
    else:
        _put(system, path, lambda temporary: system.pipe_file(temporary, content))


def put_file(local: Path, url: str) -> None:
    """Copy a finished file of this machine to where it belongs, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        with write_atomically(path) as temporary:
            try:
                local.rename(temporary)
            except OSError:  # another disk
                temporary.write_bytes(local.read_bytes())
    elif _puts_whole(system):
        system.put_file(str(local), path)
    else:
        _put(system, path, lambda temporary: system.put_file(str(local), temporary))


@lru_cache(maxsize=8)
def open_dataset(name: str, split: str | None, column: str) -> Any:
    """One split, its images as they are stored."""
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


def _put(system: FileSystem, path: str, write: Any) -> None:
    folder, _, name = path.rpartition("/")
    system.makedirs(folder, exist_ok=True)
    temporary = f"{folder}/.{secrets.token_hex(8)}.part-{name}"
    try:
        write(temporary)
        system.mv(temporary, path)
    except BaseException:
        if system.exists(temporary):
            system.rm_file(temporary)
        raise
