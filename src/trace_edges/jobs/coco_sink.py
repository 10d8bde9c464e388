"""Where results go as COCO JSON: one list of all, and PNGs of panoptic maps beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from trace_edges.formats.coco_set import category_entries
from trace_edges.formats.streams import Write, write_lists
from trace_edges.jobs.entries import Item, Shard
from trace_edges.jobs.remote import join, write_bytes
from trace_edges.jobs.sinks import RECORD, FolderSink, write_large
from trace_edges.jobs.task import Files
from trace_edges.results import Category


@dataclass(frozen=True)
class CocoSink:
    """DEST/instances.json, or DEST/panoptic.json with DEST/panoptic/KEY.png.

    Images have the ids and file names of the source where it has them; otherwise ids by position,
    which differ from shard to shard too.
    """

    dest: str
    task: Literal["instances", "panoptic"]
    categories: tuple[Category, ...]
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

    def finish(self, items: Callable[[], Iterable[Item]]) -> None:
        panoptic = self.task == "panoptic"

        def lists(write: Write) -> None:
            number = 0
            for item in items():
                record = json.loads(self.spool.read(item.key, RECORD))
                id = self.shard.number(item.position) if item.number is None else item.number
                size = {"height": record["height"], "width": record["width"]}
                write("images", {"id": id, "file_name": item.name, **size})
                if panoptic:
                    drawn = {"image_id": id, "file_name": f"{item.key}.png"}
                    write("annotations", drawn | {"segments_info": record["segments_info"]})
                    continue
                for entry in record["annotations"]:
                    write("annotations",
                          {"id": self.shard.number(number), "image_id": id, **entry})  # fmt: skip
                    number += 1
            for category in category_entries(self.categories, things=panoptic):
                write("categories", category)

        names = ("images", "annotations", "categories")
        write_large(self.lists[0], lambda path: write_lists(path, names, lists))
