"""Where results go: a folder, tars, Parquet files, or COCO JSON.

Every result is first kept on its own, by whichever worker made it, under a name that only its key
decides. So what a kill interrupts is done again to the same name, and nothing comes twice. Larger
files are then put together from a fixed stretch of the inputs, in their order: their bytes do not
depend on who finished first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol, get_args

from trace_edges.extras import require
from trace_edges.files import write_atomically
from trace_edges.formats.coco_models import CATEGORY
from trace_edges.jobs.choices import Form
from trace_edges.jobs.entries import Item, Shard
from trace_edges.jobs.parts import write_parquet, write_tar
from trace_edges.jobs.remote import (
    is_local,
    join,
    put_file,
    read_bytes,
    remove,
    write_bytes,
)
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

    def seal(self, part: int, items: Iterable[Item]) -> None:
        """Put the results of a part together: of its items that are done, in order."""

    def finish(self, items: Callable[[], Iterable[Item]]) -> None:
        """Everything is done or has failed; `items` gives what is done, in order."""


@dataclass(frozen=True)
class Kept:
    """Keeps a result in a sink, with a record: the facts of the image, and the task's entries."""

    sink: Sink
    outputs: Outputs

    def __call__(self, item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        record = {"key": item.key, "file": item.name, "height": facts.height, "width": facts.width}
        record |= {"timestep": facts.timestep, **result.record}
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

    def seal(self, part: int, items: Iterable[Item]) -> None:
        raise AssertionError("a folder has no parts")

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
        def results() -> Iterator[tuple[str, Files]]:
            for item in items:
                yield item.key, {one: self.spool.read(item.key, one) for one in self.suffixes}

        url = join(self.dest, f"part{self.tag}-{part:06d}.{self.form}")
        _write(url, lambda path: _WRITERS[self.form](path, results()))

    def release(self, items: Iterable[Item]) -> None:
        """Take away the single results of a part that is sealed."""
        for item in items:
            self.spool.remove(item.key, self.suffixes)

    def finish(self, items: Callable[[], Iterable[Item]]) -> None:
        self.spool.remove_all()


@dataclass(frozen=True)
class CocoSink:
    """DEST/instances.json, or DEST/panoptic.json with DEST/panoptic/KEY.png.

    Images have the ids and file names of the source where it has them; otherwise ids by position,
    which differ from shard to shard too.
    """

    dest: str
    task: Literal["instances", "panoptic"]
    categories: tuple[tuple[int, str, bool], ...] = ((CATEGORY, "object", True),)
    shard: Shard = field(default_factory=Shard)
    part = None

    @property
    def spool(self) -> FolderSink:
        """The records of single results."""
        return FolderSink(join(self.dest, f".annotate{self.shard.tag}/results"))

    @property
    def lists(self) -> Sequence[str]:
        return (join(self.dest, f"{self.task}{self.shard.tag}.json"),)

    def describe(self) -> dict[str, Any]:
        return {"to": "coco"}

    def check(self) -> None:
        pass

    def keep(self, key: str, files: Files) -> None:
        if self.task == "panoptic":
            name = f"panoptic{self.shard.tag}/{key}.png"
            write_bytes(join(self.dest, name), files["panoptic.png"])
        self.spool.keep(key, {RECORD: files[RECORD]})

    def seal(self, part: int, items: Iterable[Item]) -> None:
        raise AssertionError("COCO JSON has no parts")

    def finish(self, items: Callable[[], Iterable[Item]]) -> None:
        def records() -> Iterator[tuple[Item, dict[str, Any]]]:
            for item in items():
                yield item, json.loads(self.spool.read(item.key, RECORD))

        lists = {"images": map(self._image, records()), "annotations": self._annotations(records())}
        _write(self.lists[0], lambda path: self._write_json(path, lists))

    def _write_json(self, path: Path, lists: dict[str, Iterator[dict[str, Any]]]) -> None:
        """JSON of millions of entries, of which one at a time is in memory."""
        with path.open("w", encoding="utf-8") as file:
            file.write("{")
            for name, entries in lists.items():
                file.write(f'"{name}":[')
                for place, entry in enumerate(entries):
                    file.write("," if place else "")
                    file.write(json.dumps(entry, separators=(",", ":"), allow_nan=False))
                file.write("],\n")
            panoptic = self.task == "panoptic"
            categories = [
                {"id": number, "name": name, "supercategory": name}
                | ({"isthing": int(thing)} if panoptic else {})
                for number, name, thing in self.categories
            ]
            file.write(f'"categories":{json.dumps(categories, separators=(",", ":"))}}}\n')

    def _id(self, item: Item) -> int:
        return self.shard.number(item.position) if item.number is None else item.number

    def _image(self, one: tuple[Item, dict[str, Any]]) -> dict[str, Any]:
        item, record = one
        size = {"height": record["height"], "width": record["width"]}
        return {"id": self._id(item), "file_name": item.name, **size}

    def _annotations(
        self, records: Iterable[tuple[Item, dict[str, Any]]]
    ) -> Iterator[dict[str, Any]]:
        number = 0
        for item, record in records:
            if self.task == "panoptic":
                segments = record["segments_info"]
                name = f"{item.key}.png"
                yield {"image_id": self._id(item), "file_name": name, "segments_info": segments}
                continue
            for entry in record["annotations"]:
                yield {"id": self.shard.number(number), "image_id": self._id(item), **entry}
                number += 1


def make_sink(
    dest: str, form: Form, task: Any, *, part: int = 1000, shard: Shard | None = None
) -> Sink:
    """The sink of a form for what a task makes.

    Raises:
        ValueError: the form is unknown, or cannot hold what the task makes.
    """
    shard = shard or Shard()
    if form not in get_args(Form):
        raise ValueError(f"unknown form {form!r}; known: {', '.join(get_args(Form))}")
    if part < 1:
        raise ValueError(f"a part holds at least 1 result, not {part}")
    if form == "folder":
        return FolderSink(dest)
    if form == "coco":
        if task.name == "edges":
            raise ValueError("COCO JSON holds instances or panoptic segments, no edges: "
                             "choose folder, tar or parquet")  # fmt: skip
        if task.name == "instances":
            return CocoSink(dest, "instances", shard=shard)
        listed = tuple((one.id, one.name, one.thing) for one in task.classes.categories)
        return CocoSink(dest, "panoptic", listed, shard)
    return PartSink(dest, form, (*task.suffixes, RECORD), part, shard.tag)


def _write(url: str, write: Callable[[Path], None]) -> None:
    """Write a large file here, and move it to its place when it is whole."""
    if is_local(url):
        with write_atomically(filesystem(url)[1]) as temporary:
            write(temporary)
        return
    with TemporaryDirectory() as folder:
        finished = Path(folder) / "finished"
        write(finished)
        put_file(finished, url)
