"""Where results go: a folder, tars or Parquet files; COCO JSON is in `coco_sink`.

Every result is first kept on its own, by whichever worker made it, under a name that only its key
decides. So what a kill interrupts is done again to the same name, and nothing comes twice. Larger
files are then put together from a fixed stretch of the inputs, in their order: their bytes do not
depend on who finished first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

from trace_edges.extras import require
from trace_edges.files import write_atomically
from trace_edges.jobs.entries import Item
from trace_edges.jobs.parts import write_parquet, write_tar
from trace_edges.jobs.remote import is_local, join, put_file, read_bytes, remove, write_bytes
from trace_edges.jobs.stores import concerns_all, filesystem
from trace_edges.jobs.task import Facts, Files, KeepError, Result
from trace_edges.outputs import Outputs

RECORD = "json"  # suffix of what says that the other files of a key are there
_WRITERS = {"tar": write_tar, "parquet": write_parquet}


class Sink(Protocol):
    """Takes results; `part` is how many positions share a file, None where none do, and `lists` are
    the files that list all of them.
    """

    @property
    def lists(self) -> Sequence[str]: ...

    @property
    def part(self) -> int | None: ...

    def describe(self) -> dict[str, Any]:
        """What the bytes depend on, plain JSON values."""

    def check(self) -> None:
        """Raise what would stop every result: a library that is missing."""

    def keep(self, key: str, files: Files) -> None:
        """Write the result of one key, durably; again, if it is there. Runs in workers."""

    def finish(self, items: Callable[[], Iterable[Item]]) -> None:
        """Everything is done or has failed; `items` gives what is done, in order."""


@dataclass(frozen=True)
class Kept:
    """Keeps a result in a sink, with a record: the facts of the image, and the task's entries."""

    sink: Sink
    outputs: Outputs

    def __call__(self, item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        record = {"key": item.key, "file": item.name, "height": facts.height, "width": facts.width}
        record |= {"notes": list(facts.notes), "timestep": facts.timestep, **result.record}
        try:
            with self.outputs.writing():
                self.sink.keep(item.key, {**result.files, RECORD: record_bytes(record)})
        except OSError as error:
            if concerns_all(error):
                raise
            raise KeepError(f"{item.name}: its results cannot be written ({error})") from error
        return record


def record_bytes(record: Mapping[str, Any]) -> bytes:
    """A record as JSON, compact and in its order."""
    return (json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n").encode()


@dataclass(frozen=True)
class FolderSink:
    """DEST/KEY.SUFFIX for every file of a result; the record comes last."""

    dest: str
    part = None
    lists = ()

    def describe(self) -> dict[str, Any]:
        return {"to": "folder"}

    def check(self) -> None:
        pass

    def keep(self, key: str, files: Files) -> None:
        for suffix in sorted(files, key=lambda suffix: suffix == RECORD):
            write_bytes(self._url(key, suffix), files[suffix])

    def read(self, key: str, suffix: str) -> bytes:
        """What `keep` wrote."""
        return read_bytes(self._url(key, suffix))

    def remove(self, key: str, suffixes: Iterable[str]) -> None:
        """Take away what `keep` wrote, if it is there."""
        for suffix in suffixes:
            remove(self._url(key, suffix))

    def remove_all(self) -> None:
        """Take away the folder."""
        remove(self.dest, recursive=True)

    def finish(self, items: Callable[[], Iterable[Item]]) -> None:
        pass

    def _url(self, key: str, suffix: str) -> str:
        return join(self.dest, f"{key}.{suffix}")


@dataclass(frozen=True)
class PartSink:
    """DEST/part-NNNNNN.tar or .parquet, each with the results of `part` inputs that followed on
    each other; those that failed are missing in it.
    """

    dest: str
    form: Literal["tar", "parquet"]
    suffixes: tuple[str, ...]
    part: int
    tag: str = ""
    lists = ()

    @property
    def spool(self) -> FolderSink:
        """Results whose part is not put together yet."""
        return FolderSink(join(self.dest, f".annotate{self.tag}/results"))

    def describe(self) -> dict[str, Any]:
        return {"to": self.form, "part": self.part}

    def check(self) -> None:
        if self.form == "parquet":
            require("pyarrow.parquet", "annotate")

    def keep(self, key: str, files: Files) -> None:
        self.spool.keep(key, files)

    def seal(self, part: int, items: Iterable[Item]) -> None:
        """Put the results of a part together: of its items that are done, in order."""

        def results() -> Iterator[tuple[str, Files]]:
            for item in items:
                yield item.key, {one: self.spool.read(item.key, one) for one in self.suffixes}

        url = join(self.dest, f"part{self.tag}-{part:06d}.{self.form}")
        write_large(url, lambda path: _WRITERS[self.form](path, results()))

    def release(self, items: Iterable[Item]) -> None:
        """Take away the single results of a part that is sealed."""
        for item in items:
            self.spool.remove(item.key, self.suffixes)

    def finish(self, items: Callable[[], Iterable[Item]]) -> None:
        self.spool.remove_all()


def write_large(url: str, write: Callable[[Path], None]) -> None:
    """Write a large file here, and move it to its place when it is whole."""
    if is_local(url):
        with write_atomically(filesystem(url)[1]) as temporary:
            write(temporary)
        return
    with TemporaryDirectory() as folder:
        finished = Path(folder) / "finished"
        write(finished)
        put_file(finished, url)
