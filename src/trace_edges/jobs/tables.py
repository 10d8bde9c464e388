"""Data sets in tables: Parquet files with image bytes, and Hugging Face's `datasets`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trace_edges.extras import require
from trace_edges.files import InputError
from trace_edges.jobs.containers import find_containers
from trace_edges.jobs.entries import Entry
from trace_edges.jobs.inputs import check_there
from trace_edges.jobs.places import CellPlace, NoPlace, RowPlace, stamp_of
from trace_edges.jobs.remote import is_saved_dataset, load_rows
from trace_edges.jobs.stores import StoreError, StoreFile, is_of_store
from trace_edges.outputs import digest_of

SUFFIXES = (".parquet", ".parq", ".pq")
_USUAL = ("image", "img", "jpg", "png", "bytes")


@dataclass(frozen=True)
class ParquetSource:
    """Parquet files with a column of encoded images: bytes, or a struct with `bytes`.

    Keys are FILE/ROW, or FILE/ and what `key_column` holds.

    Attributes:
        url: a file, a folder or a pattern.
        column: of the images; None: `image`, or the only one that can be it.
        key_column: of names.
    """

    url: str
    column: str | None = None
    key_column: str | None = None

    def describe(self) -> dict[str, Any]:
        return {"source": "parquet", **asdict(self)}

    def check(self) -> None:
        check_there(self.url)

    def entries(self) -> Iterator[Entry]:
        """Of a file that cannot be read, or lacks the column, one entry that says so.

        Raises:
            InputError: that is so of all files.
        """
        parquet = require("pyarrow.parquet", "annotate")
        arrow = require("pyarrow", "annotate")
        problems: list[Entry] = []
        first = ""
        readable = False
        for url, name in find_containers(self.url, SUFFIXES):
            try:
                with StoreFile(url) as file:
                    size = file.seek(0, io.SEEK_END)
                    table = parquet.ParquetFile(file)
                    column, readable = self._column(table.schema_arrow), True
                    yield from problems
                    problems = []
                    yield from self._rows(table, size, column, (url, name))
                continue
            except InputError as error:
                problem = str(error)
            except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
                if isinstance(error, StoreError):
                    self.check()
                is_bad = "cannot be read" if is_of_store(error) else "is a damaged Parquet file"
                problem = f"{is_bad} ({error}); fetch it again"
            reason = " ".join(f"{url}: {problem}".split())
            first = first or reason
            problems.append(Entry(name, NoPlace(reason), url.rpartition("/")[2]))
        if problems and not readable:
            more = f" (and {len(problems) - 1} more files)" if problems[1:] else ""
            raise InputError(f"{first}{more}")
        yield from problems

    def _column(self, schema: Any) -> str:
        column = self.column or _image_column(schema)
        for one in (column, self.key_column):
            if one is not None and one not in schema.names:
                known = ", ".join(schema.names)
                raise InputError(f"has no column {one!r}; it has {known}")
        if not _holds_bytes(kind := schema.field(column).type):
            raise InputError(f"its column {column!r} holds {_called(kind)}, not an image a row; "
                             "make it bytes, or structs with bytes")  # fmt: skip
        return column

    def _rows(self, table: Any, size: int, column: str, called: tuple[str, str]) -> Iterator[Entry]:
        url, name = called
        at, stamp = 0, stamp_of(url)
        for group in range(table.num_row_groups):
            rows = table.metadata.row_group(group).num_rows
            if not 0 <= rows <= size:  # an image has a byte or more
                raise InputError(f"claims {rows:,} images in {size:,} bytes; fetch it again")
            names = None
            if self.key_column is not None:
                names = table.read_row_group(group, columns=[self.key_column]).column(0).to_pylist()
            for row in range(rows):
                key = f"{at:08d}" if names is None else str(names[row])
                place = CellPlace(url, group, row, column, stamp)
                yield Entry(f"{name}/{key}", place, f"{name}/{key}")
                at += 1


@dataclass(frozen=True)
class DatasetSource:
    """A data set of Hugging Face's `datasets`: a folder that it saved, or an id on the hub.

    Keys are SPLIT/ROW, or ROW where there is one split.

    Attributes:
        name: the folder, or the id.
        split: of those it has; None: all.
        column: of the images; None: the first one of type Image.
    """

    name: str
    split: str | None = None
    column: str | None = None

    def describe(self) -> dict[str, Any]:
        return {"source": "datasets", **asdict(self)}

    def check(self) -> None:
        if is_saved_dataset(Path(self.name)):
            check_there(self.name)

    def entries(self) -> Iterator[Entry]:
        library = require("datasets", "annotate")
        loaded = load_rows(self.name, None)
        splits = loaded if isinstance(loaded, library.DatasetDict) else {None: loaded}
        if self.split is not None:
            if self.split not in splits:
                known = ", ".join(map(str, splits))
                raise InputError(f"{self.name} has no split {self.split!r}; it has {known}")
            splits = {self.split: splits[self.split]}
        for split, rows in splits.items():
            files = [one["filename"] for one in rows.cache_files]
            stamps = " ".join(f"{path} {stamp_of(path)}" for path in files)
            stamp = digest_of(stamps.encode()) if files else ""
            column = self.column or _image_feature(rows, self.name)
            prefix = f"{split}/" if len(splits) > 1 else ""
            for row in range(len(rows)):
                name = f"{prefix}{row:08d}"
                yield Entry(name, RowPlace(self.name, split, row, column, stamp), name)


def _image_feature(rows: Any, name: str) -> str:
    library = require("datasets", "annotate")
    images = [key for key, kind in rows.features.items() if isinstance(kind, library.Image)]
    if images:
        return images[0]
    usual = [key for key in _USUAL if key in rows.features]
    if not usual:
        known = ", ".join(rows.features)
        raise InputError(f"{name} has no column of images; give --column, one of {known}")
    return usual[0]


def _image_column(schema: Any) -> str:
    able = [field.name for field in schema if _holds_bytes(field.type)]
    for name in _USUAL:
        if name in able:
            return name
    if len(able) == 1:
        return able[0]
    if able:
        raise InputError(f"has columns of bytes: {', '.join(able)}; choose one with --column")
    held = [f"{field.name} ({_called(field.type)})" for field in schema]
    raise InputError(f"has no column of bytes, one image a row; it has {', '.join(held)}")


def _holds_bytes(kind: Any) -> bool:
    types = require("pyarrow.types", "annotate")
    if types.is_struct(kind):
        return "bytes" in [kind.field(i).name for i in range(kind.num_fields)]
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def _called(kind: Any) -> str:
    types = require("pyarrow.types", "annotate")
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return "lists of images" if _holds_bytes(kind.value_type) else "lists"
    return " ".join(str(kind).split())[:80]
