"""Data sets in tables: Parquet files with image bytes, and Hugging Face's `datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from trace_edges.extras import require
from trace_edges.files import InputError
from trace_edges.jobs.entries import CellPlace, Entry, RowPlace
from trace_edges.jobs.inputs import find_files
from trace_edges.jobs.remote import filesystem, load_rows

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

    def entries(self) -> Iterator[Entry]:
        parquet = require("pyarrow.parquet", "annotate")
        arrow = require("pyarrow", "annotate")
        for url in find_files(self.url, ".parquet"):
            system, path = filesystem(url)
            stem = PurePosixPath(path).stem
            try:
                with system.open(path, "rb") as file:
                    table = parquet.ParquetFile(file)
                    yield from self._rows(table, url, stem)
            except arrow.ArrowInvalid as error:
                raise InputError(f"{url}: is no Parquet file ({error}); fetch it again") from error

    def _rows(self, table: Any, url: str, stem: str) -> Iterator[Entry]:
        column = self.column or _image_column(table.schema_arrow, url)
        for name in (column, self.key_column):
            if name is not None and name not in table.schema_arrow.names:
                known = ", ".join(table.schema_arrow.names)
                raise InputError(f"{url} has no column {name!r}; it has {known}")
        at = 0
        for group in range(table.num_row_groups):
            names = None
            if self.key_column is not None:
                names = table.read_row_group(group, columns=[self.key_column]).column(0).to_pylist()
            for row in range(table.metadata.row_group(group).num_rows):
                name = f"{at:08d}" if names is None else str(names[row])
                place = CellPlace(url, group, row, column)
                yield Entry(f"{stem}/{name}", place, f"{stem}/{name}")
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
            column = self.column or _image_feature(rows, self.name)
            prefix = f"{split}/" if len(splits) > 1 else ""
            for row in range(len(rows)):
                name = f"{prefix}{row:08d}"
                yield Entry(name, RowPlace(self.name, split, row, column), name)


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


def _image_column(schema: Any, url: str) -> str:
    arrow = require("pyarrow", "annotate")

    def holds_bytes(kind: Any) -> bool:
        if arrow.types.is_struct(kind):
            return "bytes" in [kind.field(i).name for i in range(kind.num_fields)]
        return arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind)

    able = [field.name for field in schema if holds_bytes(field.type)]
    for name in _USUAL:
        if name in able:
            return name
    if len(able) != 1:
        held = f"the columns of bytes {', '.join(able)}" if able else "no column of bytes"
        raise InputError(f"{url} has {held}; name the images with --column")
    return able[0]
