"""Where the bytes of an input of a job are read from, when its turn comes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from trace_edges.extras import require
from trace_edges.images import ImageError
from trace_edges.jobs.remote import join, open_dataset, read_bytes
from trace_edges.jobs.stores import StoreFile, ask, filesystem, is_of_store, stamp_in


class Place(Protocol):
    """Where the bytes of an input are; a dataclass of plain values, so that it can be kept."""

    def read(self) -> bytes | str:
        """The encoded image, or the path of its file; `OSError` or `ImageError` where it cannot be
        had.
        """


@dataclass(frozen=True)
class PathPlace:
    """A file of this machine, which is opened where it lies."""

    path: str

    def read(self) -> str:
        return self.path


@dataclass(frozen=True)
class FilePlace:
    """A file, or `length` bytes of it from `start`: a member of a tar.

    Attributes:
        stamp: of the file when it was listed (`stamp_of`).
    """

    url: str
    start: int | None = None
    length: int | None = None
    stamp: str = field(default="", compare=False)

    @classmethod
    def listed(cls, url: str, told: str) -> FilePlace:
        """A whole file, with its stamp: of this machine, or as its store told it with the list."""
        return cls(url, stamp=told if "://" in url else stamp_of(url))

    def read(self) -> bytes:
        return read_bytes(self.url, self.start, self.length)


@dataclass(frozen=True)
class CellPlace:
    """A cell of a Parquet file: bytes, or a struct with `bytes`."""

    url: str
    group: int
    row: int
    column: str
    stamp: str = field(default="", compare=False)

    def read(self) -> bytes:
        where = f"{self.url}: row {self.row} of row group {self.group}"
        arrow = require("pyarrow", "annotate")
        try:
            cell = _column(self.url, self.stamp, self.group, self.column)[self.row].as_py()
        except (arrow.ArrowException, ValueError, LookupError, OSError) as error:
            if is_of_store(error):
                raise
            problem = f"its column {self.column!r} cannot be read ({error}); fetch it again"
            raise ImageError(" ".join(f"{where}: {problem}".split())) from error
        return _content(cell, where, self.url.rpartition("/")[0])


@dataclass(frozen=True)
class RowPlace:
    """A row of a Hugging Face data set; the stamp is that of the split."""

    name: str
    split: str | None
    row: int
    column: str
    stamp: str = field(default="", compare=False)

    def read(self) -> bytes:
        where = f"{self.name}: row {self.row}" + (f" of {self.split}" if self.split else "")
        rows = open_dataset(self.name, self.split, self.column, self.stamp)
        return _content(rows[self.row][self.column], where)


@dataclass(frozen=True)
class NoPlace:
    """An input that is known to be unusable, and why: it goes to the report."""

    reason: str

    def read(self) -> bytes:
        raise ImageError(self.reason)


PLACES = {place.__name__: place for place in (PathPlace, FilePlace, CellPlace, RowPlace, NoPlace)}


def stamp_of(url: str) -> str:
    """What changes when a file is written or replaced; empty where its store says nothing of the
    kind, and for what is missing, which is told when it is to be read.
    """
    try:
        if "://" in url:
            system, path = filesystem(url)
            return stamp_in(ask(url, system.info, path))
        found = os.stat(url)
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


@lru_cache(maxsize=1)
def _column(url: str, stamp: str, group: int, column: str) -> Any:
    """One column of a row group: neighbours are read one after the other. The stamp tells a file
    from one that was there before.
    """
    parquet = require("pyarrow.parquet", "annotate")
    with StoreFile(url) as file:
        return parquet.ParquetFile(file).read_row_group(group, columns=[column]).column(0)


def _content(cell: Any, where: str, folder: str = "") -> bytes:
    """The bytes of an image in a cell, or of the file that it names, relative to a folder."""
    if isinstance(cell, dict):
        if cell.get("bytes") is None and isinstance(path := cell.get("path"), str) and path:
            try:
                return read_bytes(path if "://" in path else join(folder, path))
            except (ValueError, ImportError) as error:
                raise ImageError(f"{where}: names {path!r}, which cannot be read ({error})") from (
                    error
                )
        cell = cell.get("bytes")
    if cell is None:
        raise ImageError(f"{where}: is empty; fill it or leave it out")
    if not isinstance(cell, bytes):
        held = {"str": "text", "list": "a list", "dict": "a struct", "int": "a number",
                "float": "a number"}.get(type(cell).__name__, type(cell).__name__)  # fmt: skip
        raise ImageError(f"{where}: holds {held}, not the bytes of an image; name another column")
    return cell
