"""WebDataset tars: what is in them is listed by name, offset and size, and read in place.

Whatever is called like an image and cannot be one (a link, a device, a name that leads elsewhere)
goes to the report, as does a tar that is damaged: what can be listed of it is done.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from trace_edges.files import IMAGE_SUFFIXES
from trace_edges.inputs import stem
from trace_edges.jobs.containers import find_containers
from trace_edges.jobs.entries import Entry, shown
from trace_edges.jobs.inputs import check_there, is_image
from trace_edges.jobs.places import FilePlace, NoPlace, Place, stamp_of
from trace_edges.jobs.stores import StoreError, StoreFile, is_of_store

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_COMPRESSED = {
    b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ\0": "unxz", b"\x28\xb5\x2f\xfd": "unzstd",
}  # fmt: skip
_DAMAGED = (
    tarfile.TarError,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RecursionError,
)  # fmt: skip  what tarfile raises
_HEADER = 1 << 20  # bytes: more than any sound header asks for
_BEHIND = 1 << 20  # bytes behind the end that are looked at
_BLOCK = 512


@dataclass(frozen=True)
class TarSource:
    """WebDataset shards: tars, not compressed, each a row of samples.

    Keys are TAR/SAMPLE, the stem of the tar and the name of the member up to its first dot. Of a
    sample the member with just an image suffix is taken, else every image in it. A damaged tar
    goes to the report, and what can be listed of it is done.

    Attributes:
        url: a tar, a folder of tars, a pattern, or a range as WebDataset writes it: {0000..0127}.
    """

    url: str

    def describe(self) -> dict[str, Any]:
        return {"source": "tar", **asdict(self)}

    def check(self) -> None:
        check_there(self.url)

    def entries(self) -> Iterator[Entry]:
        for tar, name in find_containers(self.url, SUFFIXES):
            try:
                yield from _entries(tar, name)
            except (*_DAMAGED, OSError) as error:
                if isinstance(error, StoreError):
                    self.check()
                is_bad = "cannot be read" if is_of_store(error) else "is a damaged tar"
                reason = " ".join((str(error) or type(error).__name__).split())
                yield _unusable(tar, name, f"{is_bad} ({reason}); fetch it again")


@dataclass(frozen=True)
class _Stored:
    """A tar, its size in bytes, its stamp, and where (start, length) the images so far lie, by
    name.
    """

    tar: str
    size: int
    stamp: str
    places: dict[str, tuple[int, int]]


class _Headers(io.BufferedReader):
    """A tar of which headers are read, and no more than a header takes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def _entries(tar: str, prefix: str) -> Iterator[Entry]:
    with _Headers(StoreFile(tar), 1 << 16) as file:
        start = file.read(6)
        mend = next((by for magic, by in _COMPRESSED.items() if start.startswith(magic)), None)
        if mend is not None:
            yield _unusable(tar, prefix, f"is compressed; {mend} it")
            return
        stored = _Stored(tar, file.seek(0, io.SEEK_END), stamp_of(tar), {})
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:") as members:
            problems: list[Exception] = []
            forward = _forward(members, problems)
            named = (one for one in forward if not one.isdir() and is_image(one.name))
            for sample, some in groupby(named, key=lambda one: _sample(one.name)):
                yield from _images_of(sample, list(some), prefix, stored)
            if problems:  # only now: what comes before is sound
                raise problems[0]
            end = members.offset
        if (problem := _end(file, end)) is not None:
            yield _unusable(tar, prefix, problem)


def _forward(members: tarfile.TarFile, problems: list[Exception]) -> Iterator[tarfile.TarInfo]:
    """The members up to the first that cannot be told; why not goes to `problems`.

    A size below 0 would lead back, and round for ever.
    """
    before = -1
    try:
        for one in members:
            if one.size < 0 or one.offset <= before:
                raise tarfile.ReadError(f"{shown(one.name)} has {one.size} bytes")
            before = one.offset
            yield one
    except (*_DAMAGED, OSError) as error:
        problems.append(error)


def _images_of(
    sample: str, members: list[tarfile.TarInfo], prefix: str, stored: _Stored
) -> Iterator[Entry]:
    """The images of one sample."""
    exact = [one for one in members if one.name[len(sample) :].lower() in IMAGE_SUFFIXES]
    taken = [one for one in exact if one.name == exact[0].name] or members
    for one in taken:
        called = sample if exact else stem(one.name)
        key = f"{prefix}/{called.removeprefix('./')}"
        yield Entry(key, _place(one, stored), one.name.removeprefix("./"))


def _place(member: tarfile.TarInfo, stored: _Stored) -> Place:
    where = f"{stored.tar}: {shown(member.name)}"
    if member.islnk() and member.linkname in stored.places:
        return FilePlace(stored.tar, *stored.places[member.linkname], stored.stamp)
    if member.issym() or member.islnk():
        return NoPlace(f"{where} is a link to {shown(member.linkname)}; pack the file itself")
    if member.sparse is not None:
        return NoPlace(f"{where} is stored with holes; pack it without --sparse")
    if member.ischr() or member.isblk() or member.isfifo():
        return NoPlace(f"{where} is a device or a pipe, no file; take it out")
    if member.offset_data + member.size > stored.size:
        return NoPlace(f"{where} is cut, or its size is damaged; fetch the tar again")
    stored.places[member.name] = member.offset_data, member.size
    return FilePlace(stored.tar, member.offset_data, member.size, stored.stamp)


def _end(file: io.BufferedReader, at: int) -> str | None:
    """What is wrong where the list of members ended; None if a tar may end like this."""
    file.seek(at)
    block = file.read(_BLOCK)
    if not block:
        return "has no end: it was cut; what is listed is done, fetch it again"
    if any(block):
        return f"has a damaged header at byte {at}; everything after it is lost, fetch it again"
    if any(file.read(_BEHIND)):
        return "goes on after its end, as if tars had been joined with cat; pack them again"
    return None


def _unusable(tar: str, name: str, problem: str) -> Entry:
    return Entry(name, NoPlace(f"{tar}: {problem}"), tar.rpartition("/")[2])


def _sample(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.split(".")[0]
