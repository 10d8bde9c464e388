"""Data sets of files: folders and globs, WebDataset tars, COCO, VOC; here or behind a URL."""

from __future__ import annotations

import glob
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

from trace_edges.files import IMAGE_SUFFIXES, RESULT_SUFFIXES, FileError, InputError
from trace_edges.jobs.entries import Entry, FilePlace, NoPlace
from trace_edges.jobs.remote import filesystem, full_name, join, read_bytes

_RESULTS = (*RESULT_SUFFIXES, ".panoptic.png")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class FolderSource:
    """The images of a folder and those below it, or of a pattern (`*`, `?`, `[...]`, `**`).

    Keys are paths relative to the folder, or to the part of the pattern before the first star,
    without suffix; files of one name keep theirs. Hidden files and results are left out.
    """

    url: str

    def describe(self) -> dict[str, Any]:
        return {"source": "folder", **asdict(self)}

    def entries(self) -> Iterator[Entry]:
        system, path = filesystem(self.url)
        if glob.has_magic(path) and not system.exists(path):
            base = path[: re.search(r"[*?[]", path).start()].rpartition("/")[0]  # type: ignore[union-attr]
            found = system.glob(path)
        elif system.isdir(path):
            base, found = path, system.find(path)
        elif system.exists(path):
            base, found = path.rpartition("/")[0], [path]
        else:
            raise InputError(f"{self.url}: there is no such file or folder; check the path")
        base = base.rstrip("/") + "/" if base else ""
        names = sorted(one.removeprefix(base) for one in found if _is_image(one, base))
        uses = Counter(_stem(name) for name in names)
        for name in names:
            key = name if uses[_stem(name)] > 1 else _stem(name)
            yield Entry(key, FilePlace(full_name(system, base + name)), name)


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

    def entries(self) -> Iterator[Entry]:
        tars = [tar for url in _ranges(self.url) for tar in find_files(url, ".tar")]
        stems = Counter(_stem(tar) for tar in map(_last, tars))
        for tar in tars:
            name = _last(tar) if stems[_stem(_last(tar))] > 1 else _stem(_last(tar))
            try:
                yield from _members(tar, name)
            except (tarfile.TarError, OSError, EOFError) as error:
                reason = f"{tar}: is a damaged tar ({error}); fetch it again"
                yield Entry(name, NoPlace(reason), _last(tar))


@dataclass(frozen=True)
class CocoSource:
    """The images that a COCO JSON lists, in its order; ids and file names go on to the results."""

    json: str
    images: str

    def describe(self) -> dict[str, Any]:
        return {"source": "coco", **asdict(self)}

    def entries(self) -> Iterator[Entry]:
        try:
            content = json.loads(read_bytes(self.json))
        except ValueError as error:
            raise FileError(self.json, f"is no valid JSON ({error})", "fetch it again") from error
        listed = content.get("images") if isinstance(content, dict) else None
        if not isinstance(listed, list):
            raise FileError(self.json, "lists no images", "give a JSON with COCO's images")
        for place, image in enumerate(listed):
            if not isinstance(image, dict) or not {"id", "file_name"} <= image.keys():
                mend = "add it or remove the entry"
                raise FileError(self.json, f"images[{place}] lacks id or file_name", mend)
            name = image["file_name"]
            yield Entry(_stem(name), FilePlace(join(self.images, name)), name, int(image["id"]))


@dataclass(frozen=True)
class VocSource:
    """The photographs of a folder VOC20xx: JPEGImages, all or those of a split."""

    url: str
    split: str | None = None

    def describe(self) -> dict[str, Any]:
        return {"source": "voc", **asdict(self)}

    def entries(self) -> Iterator[Entry]:
        folder = join(self.url, "JPEGImages")
        if self.split is None:
            yield from FolderSource(folder).entries()
            return
        path = join(join(join(self.url, "ImageSets"), "Segmentation"), f"{self.split}.txt")
        try:
            names = read_bytes(path).decode().split()
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such split; give one that is there") from None
        for name in names:
            yield Entry(name, FilePlace(join(folder, f"{name}.jpg")), f"{name}.jpg")


def find_files(url: str, suffix: str) -> list[str]:
    """The files that a path, folder or pattern stands for, sorted, as URLs.

    Raises:
        InputError: there is none.
    """
    system, path = filesystem(url)
    if system.isdir(path):
        found = [one for one in system.find(path, maxdepth=1) if one.endswith(suffix)]
    elif system.exists(path):
        found = [path]
    else:
        found = [one for one in system.glob(path) if one.endswith(suffix)]
    visible = sorted(one for one in found if not _last(one).startswith("."))
    if not visible:
        raise InputError(f"{url}: there is no {suffix} there; check the path")
    return [full_name(system, one) for one in visible]


def _members(tar: str, prefix: str) -> Iterator[Entry]:
    system, path = filesystem(tar)
    with system.open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as members:
        images = (one for one in members if one.isfile() and _is_image(one.name, ""))
        for sample, some in groupby(images, key=lambda one: _sample(one.name)):
            yield from _images_of(sample, list(some), tar, prefix)


def _images_of(
    sample: str, members: list[tarfile.TarInfo], tar: str, prefix: str
) -> Iterator[Entry]:
    exact = [one for one in members if one.name[len(sample) :].lower() in IMAGE_SUFFIXES]
    for one in exact[:1] or members:
        stem = sample if exact else _stem(one.name)
        place = FilePlace(tar, one.offset_data, one.size)
        yield Entry(f"{prefix}/{stem.removeprefix('./')}", place, one.name.removeprefix("./"))


def _ranges(url: str) -> Iterable[str]:
    """{000..127} written out, as WebDataset does."""
    if (found := _RANGE.search(url)) is None:
        return [url]
    first, last = found.groups()
    numbers = (f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1))
    return [one for n in numbers for one in _ranges(url[: found.start()] + n + url[found.end() :])]


def _sample(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.split(".")[0]


def _is_image(path: str, base: str) -> bool:
    name = path.removeprefix(base).lower()
    hidden = any(part.startswith(".") for part in name.removeprefix("./").split("/"))
    return name.endswith(IMAGE_SUFFIXES) and not name.endswith(_RESULTS) and not hidden


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix else name


def _last(path: str) -> str:
    return path.rpartition("/")[2]
