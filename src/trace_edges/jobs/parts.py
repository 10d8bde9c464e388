"""Files that hold many results: tars as WebDataset reads them, and Parquet; equal results in equal
order give equal bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from trace_edges.extras import require
from trace_edges.formats.annotated import member_stem
from trace_edges.jobs.task import Files

_ROW_GROUP = 100  # results: as many as may be in memory at once


def write_tar(path: Path, results: Iterable[tuple[str, Files]]) -> None:
    """A tar of KEY.SUFFIX, without times and owners.

    In a WebDataset the key ends at the first dot of the name: dots of a key become %2E, and % %25.
    """
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for key, files in results:
            name = member_stem(key)
            for suffix, content in files.items():
                member = tarfile.TarInfo(f"{name}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def write_parquet(path: Path, results: Iterable[tuple[str, Files]]) -> None:
    """A table with `key`, `height`, `width`, `timestep`, a column of bytes for each suffix (its dot
    an underscore), and the whole `record` as JSON.
    """
    arrow, parquet = require("pyarrow", "annotate"), require("pyarrow.parquet", "annotate")
    numbers = ("height", "width", "timestep")
    rows, writer = _rows(results, numbers), None
    try:
        while some := list(islice(rows, _ROW_GROUP)):
            if writer is None:
                kinds = {"key": arrow.string(), "record": arrow.string()}
                kinds |= dict.fromkeys(numbers, arrow.int32())
                schema = arrow.schema([(n, kinds.get(n, arrow.binary())) for n in some[0]])
                writer = parquet.ParquetWriter(path, schema, compression="zstd")
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))
    finally:
        if writer is not None:
            writer.close()
    if writer is None:  # all inputs of the part failed
        empty = arrow.table({"key": arrow.array([], arrow.string())})
        parquet.write_table(empty, path, compression="zstd")


def _rows(
    results: Iterable[tuple[str, Files]], numbers: Iterable[str]
) -> Iterator[dict[str, str | int | bytes]]:
    for key, files in results:
        record = json.loads(files["json"])
        row: dict[str, str | int | bytes] = {"key": key}
        row |= {name: record[name] for name in numbers}
        row |= {n.replace(".", "_"): content for n, content in files.items() if n != "json"}
        yield row | {"record": files["json"].decode().strip()}
