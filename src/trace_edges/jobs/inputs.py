"""Data sets of single files: folders and patterns, COCO, VOC; here or behind a URL."""

from __future__ import annotations

import glob
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from trace_edges.files import IMAGE_SUFFIXES, RESULT_SUFFIXES, FileError, InputError
from trace_edges.jobs.entries import Entry, FilePlace, NoPlace, Place
from trace_edges.jobs.remote import full_name, join, read_bytes
from trace_edges.jobs.stores import ask, filesystem, kind_of

_RESULTS = (*RESULT_SUFFIXES, ".panoptic.png")


@dataclass(frozen=True)
class FolderSource:
    """The images of a folder and those below it, or of a pattern (`*`, `?`, `[...]`, `**`).

    Keys are paths relative to the folder, or to the part of the pattern before the first star,
    without suffix; files of one name keep theirs. Hidden files and results are left out.
    """

    url: str

    def describe(self) -> dict[str, Any]:
        return {"source": "folder", **asdict(self)}

    def check(self) -> None:
        check_there(self.url)

    def entries(self) -> Iterator[Entry]:
        shut: list[OSError] = []
        base, found = self._found(shut)
        system, _ = filesystem(self.url)
        base = base.rstrip("/") + "/" if base else ""
        kinds = {
            name.removeprefix(base): str(info["type"])
            for name, info in found.items()
            if is_image(name.removeprefix(base))
        }
        names = sorted(kinds)
        uses = Counter(stem(name) for name in names)
        for name in names:
            key = name if uses[stem(name)] > 1 else stem(name)
            place: Place = FilePlace(full_name(system, base + name))
            if (
                kinds[name] == "other"
                and (kind := kind_of(full_name(system, base + name))) != "file"
            ):
                leads = {None: "is a link to nothing", "directory": "is a link to a folder"}
                problem = leads.get(kind, "is a pipe or a device, no file")
                place = NoPlace(f"{name}: {problem}; take it out")
            yield Entry(key, place, name)
        for error in shut:
            name = str(error.filename or self.url).removeprefix(base)
            reason = f"{name}: cannot be listed ({error.strerror or error}); change its permissions"
            yield Entry(f"{name}/", NoPlace(reason), name)

    def _found(self, shut: list[OSError]) -> tuple[str, dict[str, Any]]:
        """What names are relative to, and the files below it, with what is known of them; folders
        that cannot be listed go to `shut`.
        """
        system, path = filesystem(self.url)
        kind = kind_of(self.url)
        if kind is None and glob.has_magic(path):
            base = path[: re.search(r"[*?[]", path).start()].rpartition("/")[0]  # type: ignore[union-attr]
            return base, ask(self.url, system.glob, path, detail=True)
        if kind == "directory" or (_is_web(self.url) and ask(self.url, system.isdir, path)):
            if not isinstance(system, LocalFileSystem):
                return path, ask(self.url, system.find, path, detail=True)
            return path, dict(_files_of_this_machine(path, shut))
        if kind is None:
            raise InputError(f"{self.url}: there is no such file or folder; check the path")
        if not is_image(path.rpartition("/")[2]):
            raise InputError(f"{self.url}: is no image, tar, Parquet file or COCO JSON; check it, "
                             "or say what it is with --from")  # fmt: skip
        return path.rpartition("/")[0], {path: {"type": kind}}


@dataclass(frozen=True)
class CocoSource:
    """The images that a COCO JSON lists, in its order; ids and file names go on to the results."""

    json: str
    images: str

    def describe(self) -> dict[str, Any]:
        return {"source": "coco", **asdict(self)}

    def check(self) -> None:
        check_there(self.json)

    def entries(self) -> Iterator[Entry]:
        try:
            content = json.loads(read_bytes(self.json))
        except (ValueError, RecursionError) as error:
            raise FileError(self.json, f"is no valid JSON ({error})", "fetch it again") from error
        listed = content.get("images") if isinstance(content, dict) else None
        if not isinstance(listed, list):
            raise FileError(self.json, "lists no images", "give a JSON with COCO's images")
        ids: set[int] = set()
        for place, image in enumerate(listed):
            if (problem := _unlike_coco(image, ids)) is not None:
                reason = f"{self.json}: images[{place}] {problem}"
                yield Entry(f"images[{place}]", NoPlace(reason), f"images[{place}]")
                continue
            name = image["file_name"]
            ids.add(image["id"])
            yield Entry(stem(name), FilePlace(join(self.images, name)), name, image["id"])


@dataclass(frozen=True)
class VocSource:
    """The photographs of a folder VOC20xx: JPEGImages, all or those of a split."""

    url: str
    split: str | None = None

    def describe(self) -> dict[str, Any]:
        return {"source": "voc", **asdict(self)}

    def check(self) -> None:
        check_there(join(self.url, "JPEGImages"))

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
        except UnicodeDecodeError as error:
            raise FileError(path, f"is no text ({error})", "fetch it again") from error
        for name in names:
            yield Entry(name, FilePlace(join(folder, f"{name}.jpg")), f"{name}.jpg")


def check_there(url: str) -> None:
    """Ask the store of a path or URL whether anything is there; of a pattern, before its stars.

    Raises:
        OSError: the store does not answer.
        InputError: there is nothing.
    """
    root = re.split(r"[*?\[{]", url)[0]
    whole = root == url
    root = root if whole else root.rpartition("/")[0] or "/"
    if kind_of(root) is None and not _is_web(url):  # a web server need not list its folders
        mend = "check the path" if whole else "check the pattern"
        raise InputError(f"{url}: there is no such file or folder; {mend}")


def is_image(name: str) -> bool:
    """Whether a relative path is called like an image, is not hidden, and no result of ours."""
    lower = name.lower()
    hidden = any(part.startswith(".") and part not in (".", "..") for part in lower.split("/"))
    return lower.endswith(IMAGE_SUFFIXES) and not lower.endswith(_RESULTS) and not hidden


def stem(name: str) -> str:
    """A path without its last suffix."""
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix else name


def _unlike_coco(image: Any, ids: set[int]) -> str | None:
    """What is wrong with an entry of COCO's images; `ids` are those of the ones before it."""
    if not isinstance(image, dict) or not {"id", "file_name"} <= image.keys():
        return "lacks id or file_name: add it or remove the entry"
    number, name = image["id"], image["file_name"]
    if not isinstance(name, str) or not name:
        return "has a file_name that is no text: mend it"
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) >= 1 << 63:
        return f"({name}) has an id that is no whole number of 64 bits: mend it"
    if number in ids:
        return f"({name}) has the id {number}, which another image has too: give it its own"
    return None


def _files_of_this_machine(
    folder: str, shut: list[OSError]
) -> Iterator[tuple[str, dict[str, str]]]:
    """As fsspec's `find`, which leaves out in silence what it may not list."""
    for place, _, names in os.walk(folder, onerror=shut.append):
        for path in (os.path.join(place, name) for name in names):
            regular = os.path.isfile(path) and not os.path.islink(path)
            yield path, {"type": "file" if regular else "other"}


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))
