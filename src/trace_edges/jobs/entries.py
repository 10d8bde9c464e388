"""The inputs of a job: their keys and names, and their share among several machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any, Protocol

from trace_edges.images import ImageError
from trace_edges.jobs.places import PLACES, CellPlace, FilePlace, NoPlace, Place
from trace_edges.outputs import digest_of

_LONGEST = 255  # bytes of a name, as file systems have it
_ROOM = 40  # of them, for suffixes and temporary names
_SHOWN = 200  # characters of a name in a message
_LONGEST_PATH = 3000  # bytes of a key: file systems take 4,096 with the folder of results
# What is said of an image in whose place another is now.
CHANGED = ("has changed since its results were made; --retry makes them again, or give "
           "another folder of results where they are in tars or Parquet files")  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One input.

    Attributes:
        key: what its results are called: a relative path without suffix, unique in the source.
        place: where its bytes are.
        name: its file name, as COCO lists it.
        number: its id in COCO, where the source gives one.
        beside: the semantic map that its result is made of too.
    """

    key: str
    place: Place
    name: str
    number: int | None = None
    beside: FilePlace | None = None


@dataclass(frozen=True)
class Item:
    """An entry with its position in the job, from 0, and whether it is still to be done.

    Attributes:
        place: where its bytes are; None where the image itself is not asked for.
    """

    position: int
    key: str
    place: Place | None
    name: str
    number: int | None = None
    open: bool = True


class Source(Protocol):
    """A data set: its inputs, always in the same order."""

    def describe(self) -> dict[str, Any]:
        """What and where it is, plain JSON values."""

    def check(self) -> None:
        """Asks whether it is there.

        Raises:
            OSError: its store does not answer.
            InputError: there is no such thing.
        """

    def entries(self) -> Iterator[Entry]:
        """Every input once, without its bytes."""


def changed(entry: Entry, digest: str) -> str:
    """What is said where an entry is not the one whose bytes had this digest; nothing where it is,
    or cannot be had.
    """
    try:
        contents = [one.read() for one in (entry.place, entry.beside) if one is not None]
    except (OSError, ImageError):
        return ""
    digests = [digest_of(content) for content in contents if isinstance(content, bytes)]
    if " ".join(digests) in ("", digest):
        return ""
    what = "the image" if digests[0] != digest.split()[0] else "its semantic map"
    return f"{where(entry)}: {what} {CHANGED}"


def pack(entry: Entry) -> str:
    """The place of an entry as JSON text, and the stamp of what is beside it."""
    stamps = [] if entry.beside is None else [entry.beside.stamp]
    return json.dumps([type(entry.place).__name__, asdict(entry.place), *stamps])  # type: ignore[call-overload]


def unpack(text: str) -> Place:
    """The place that `pack` made text of."""
    kind, values, *_ = json.loads(text)
    return PLACES[kind](**values)


def checked(entry: Entry) -> Entry:
    """The entry; one whose key cannot be the name of a file is unusable and has a safe key."""
    parts = entry.key.split("/")
    if not _is_text(entry.key):
        problem = "its name is not UTF-8"
    elif any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        problem = "its name leads out of the folder of results, or is not a file name"
    elif max(len(part.encode()) for part in parts) > _LONGEST - _ROOM:
        room = f"the {_LONGEST - _ROOM} bytes that leave room for suffixes"
        problem = f"its name is longer than {room}"
    elif len(entry.key.encode()) > _LONGEST_PATH:
        problem = f"its path is longer than {_LONGEST_PATH} bytes"
    else:
        return replace(entry, name=_as_text(entry.name))
    if isinstance(entry.place, NoPlace):  # which has a reason of its own
        return unusable(entry, entry.place.reason)
    return unusable(entry, f"{where(entry)}: {problem}; rename it")


def where(entry: Entry) -> str:
    """The file that an entry is or lies in, and its name there."""
    place, name = entry.place, shown(entry.name)
    if isinstance(place, NoPlace):
        return place.reason
    if isinstance(place, CellPlace) or (isinstance(place, FilePlace) and place.start is not None):
        return f"{place.url}: {name}"
    return name


def shown(name: str) -> str:
    """A name in a message: in one line, and not too long."""
    name = " ".join(_as_text(name).replace("\0", "\\0").splitlines())
    return name if len(name) <= _SHOWN else f"{name[: _SHOWN // 2]}...{name[-_SHOWN // 2 :]}"


def unusable(entry: Entry, reason: str) -> Entry:
    """An entry that goes to the report, under a key of its own that can be a file."""
    told = f"{entry.key}\0{pack(entry)}".encode("utf-8", "surrogateescape")
    key = f"unusable-{blake2b(told, digest_size=8).hexdigest()}"
    return Entry(key, NoPlace(_as_text(reason)), _as_text(entry.name))


@dataclass(frozen=True)
class Shard:
    """The i-th of n parts of a data set, counted from 1, by a hash of the key."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ValueError(
                f"shard {self.index}/{self.count}: give 1/{max(1, self.count)} ... "
                f"{max(1, self.count)}/{max(1, self.count)}"
            )

    def __contains__(self, key: str) -> bool:
        digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.index - 1

    @property
    def tag(self) -> str:
        """What tells its files from those of the others; nothing if it is the only one."""
        return "" if self.count == 1 else f"-{self.index}-of-{self.count}"

    def number(self, position: int) -> int:
        """A COCO id, 1 or more, that no position of another shard has."""
        return position * self.count + self.index


# What is wrong with a name that fails `can_be_listed`, and the mend.
UNLISTED = ("has a name that the list of all images cannot hold",
            "rename it, in UTF-8 and without a backslash")  # fmt: skip


def can_be_listed(name: str) -> bool:
    """Whether a list of all images, as COCO has it, can hold a name."""
    return "\\" not in name and _is_text(name)


def _is_text(name: str) -> bool:
    return name == _as_text(name)


def _as_text(name: str) -> str:
    """A name as UTF-8 has it; bytes of another encoding are written out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
