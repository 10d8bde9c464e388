"""Where results go as COCO JSON: one list of all, and PNGs of panoptic maps beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trace_edges.jobs.entries import Item, Shard
from trace_edges.jobs.remote import join, write_bytes
from trace_edges.jobs.sinks import RECORD, FolderSink, write_large
from trace_edges.jobs.task import Files


@dataclass(frozen=True)
class CocoSink:
    """DEST/instances.json, or DEST/panoptic.json with DEST/panoptic/KEY.png.

    Images have the ids and file names of the source where it has them; otherwise ids by position,
    which differ from shard to shard too.
    """

    dest: str
    task: Literal["instances", "panoptic"]
    categories: tuple[tuple[int, str, bool], ...]
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
        write_large(self.lists[0], lambda path: self._write_json(path, lists))

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
