"""The record beside the results of an image: what they are of and made with, and so whether they
are what is asked for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_edges import __version__
from trace_edges.files import FileError, read_json, write_atomically, write_json
from trace_edges.jobs.entries import UNLISTED, Item, can_be_listed
from trace_edges.jobs.locks import lock
from trace_edges.jobs.places import PathPlace
from trace_edges.jobs.task import Facts, Result
from trace_edges.outputs import Outputs, new_digest

_LONGEST = 255  # bytes of a name, as file systems have it
IMAGE = "image_file"  # of a record: which file the results are of
_OWN = ("half_edge", "model_size", "grid")  # settings of which every image has its own
EDGES = "edges_file"  # and from which their edges were read

Extra = Callable[[Item, Result, Facts], Mapping[str, Any]]


@dataclass(frozen=True)
class Records:
    """Results as FOLDER/NAME.SUFFIX, and beside them FOLDER/NAME.json, which comes last and so says
    that all are there.

    Attributes:
        folder: where to.
        suffixes: of the results.
        kind: what they are, as the record says it too: results of another kind are refused.
        settings: all that they are made with.
        extra: further entries of a record, its settings among them.
        outputs: the guard of the command.
        indent: of the records.
        listed: a list of all images comes to them, which not every name can be in.
    """

    folder: Path
    suffixes: tuple[str, ...]
    kind: Mapping[str, Any]
    settings: Mapping[str, Any]
    extra: Extra
    outputs: Outputs
    indent: int | None = None
    listed: bool = False

    def record(self, name: str) -> Path:
        """The record of an image."""
        return self.folder / f"{name}.json"

    def files(self, name: str) -> list[Path]:
        """The results of an image."""
        return [self.folder / f"{name}.{suffix}" for suffix in self.suffixes]

    def is_done(self, name: str, image: Path) -> bool:
        """Whether all results of an image are there.

        Raises:
            FileError: what is there is not a record, is of another image or kind, or not ours.
        """
        path = self.record(name)
        if self.listed and not can_be_listed(name):
            raise FileError(image, *UNLISTED)
        if max(len(os.fsencode(file.name)) for file in (path, *self.files(name))) > _LONGEST:
            raise FileError(image, f"has so long a name that those of its results would be longer "
                            f"than {_LONGEST} bytes", "rename it")  # fmt: skip
        if not self.outputs.overwrite and os.path.lexists(path):
            record = read_record(path)
            if record is None:
                raise FileError(path, "is not a record of trace-edges, and is not replaced",
                                "move it away, or give another place for the results")  # fmt: skip
            self._refuse_others(path, record, image)
            if all(file.exists() for file in self.files(name)):
                return True
        self.outputs.check(path, *self.files(name))
        return False

    def difference(self, name: str, edges: Path | None = None) -> str:
        """How what is there was made differs from what is asked for; empty if it does not.

        Args:
            edges: the map that is there now, where edges are read.
        """
        record = read_record(self.record(name)) or {}
        made_with = record["settings"]
        others = [
            f"{_shown(key, made_with.get(key))} instead of {_shown(key, self.settings.get(key))}"
            for key in {**self.settings, **made_with}
            if made_with.get(key) != self.settings.get(key)
            and not (key.endswith("weights") and key not in made_with)
            and not (key in _OWN and self.settings.get(key) is None)
        ]
        known = record.get(EDGES)
        if edges is not None and isinstance(known, Mapping) and not is_of(known, edges):
            others.append(f"edges that were in {edges} before")
        if others:
            return f"was made with {'; '.join(others)}: --overwrite makes it again"
        if not isinstance(record.get(IMAGE), Mapping):
            return (f"{self.record(name)} does not say which file it is of: give another folder "
                    "to make it again")  # fmt: skip
        return ""

    def __call__(self, item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        """Writes the results and the record of an image; gives the record."""
        path = self.record(item.key)
        place = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
        # A second process at work here would mix its results with these.
        with lock(place[:2]), self.outputs.writing():
            older = read_record(path) or {}
            self.outputs.remove(path)  # an older one must not vouch for new results
            for suffix, content in result.files.items():
                with write_atomically(self.folder / f"{item.key}.{suffix}") as temporary:
                    temporary.write_bytes(content)
            record = {
                "image": item.name,
                IMAGE: identity(item.place.path) if isinstance(item.place, PathPlace) else None,
                **self.kind,
                "height": facts.height,
                "width": facts.width,
                "notes": list(facts.notes),
                **self.extra(item, result, facts),
                "seconds": facts.seconds,
                "trace_edges": __version__,
                **result.record,
            }
            write_json(record, path, indent=self.indent)
            self._remove_stale(older, item.key)
        return record

    def _refuse_others(self, path: Path, record: Mapping[str, Any], image: Path) -> None:
        """FileError where a record is of another command, image or kind."""
        mend = "give another place for the results, or --overwrite"
        command = record.get("command", "segment" if "annotations" in record else "detect")
        if command != self.outputs.command:
            raise FileError(path, f"was written by trace-edges {command}, and is not replaced",
                            "give another place for the results")  # fmt: skip
        refuse_other_image(path, record, image, mend)
        for name, value in self.kind.items():
            there = record.get(name, value)
            if there != value:
                raise FileError(path, f"was made from edges of {name} {there}, not {value}", mend)

    def _remove_stale(self, older: Mapping[str, Any], name: str) -> None:
        """Results that the older record names and the new one does not would pass as its own."""
        for suffix in ("edges.png", "edges.npy"):
            if older.get("edges") == f"{name}.{suffix}" and suffix not in self.suffixes:
                self.outputs.remove(self.folder / f"{name}.{suffix}")


def refuse_other_image(path: Path, record: Mapping[str, Any], image: Path, mend: str) -> None:
    """Make sure that results are of this image.

    Raises:
        FileError: the record, which lies at `path`, says that they are not.
        OSError: the image cannot be read.
    """
    known = record.get(IMAGE)
    if isinstance(known, Mapping) and not is_of(known, image):
        raise FileError(path, f"belongs to another image ({record.get('image')}, not {image}), or "
                        "the image has changed since", mend)  # fmt: skip


def _shown(key: str, value: object) -> str:
    """What a line says of a setting."""
    return f"no {key}" if value is None else f"{key} {value}"


def read_record(path: Path) -> dict[str, Any] | None:
    """A record; None where there is none, or another JSON, or what is left of one."""
    try:
        content = read_json(path)
    except (OSError, FileError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        return None
    sides = [content.get("height"), content.get("width")]
    masks = content.get("annotations", None if content.get("command") == "segment" else [])
    if not isinstance(masks, list) or not all(isinstance(x, int) and x > 0 for x in sides):
        return None
    entries = (isinstance(one, dict) and "segmentation" in one for one in masks)
    return content if all(entries) else None


def identity(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What tells an image file from others: its length, its content, and two times, of which a copy
    may keep the first and only the system sets the second.
    """
    with Path(path).open("rb") as file:
        found = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, new_digest).hexdigest()
    return {
        "bytes": found.st_size,
        "modified_ns": found.st_mtime_ns,
        "changed_ns": found.st_ctime_ns,
        "blake2b": digest,
    }


def is_of(known: Mapping[str, Any], path: str | os.PathLike[str]) -> bool:
    """Whether a file is the one with this `identity`, or a copy of it."""
    found = os.stat(path)
    if found.st_size != known.get("bytes"):
        return False
    times = known.get("modified_ns"), known.get("changed_ns")
    if (found.st_mtime_ns, found.st_ctime_ns) == times:
        return True  # as if it had been read
    return bool(identity(path)["blake2b"] == known.get("blake2b"))
