"""Data sets of single files: folders and patterns, COCO, VOC; here or behind a URL."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from trace_edges.files import FileError, InputError, parse_json
from trace_edges.inputs import (
    FURTHER_SUFFIXES,
    IMAGE_SUFFIXES,
    OTHER_SUFFIXES,
    RESULT_SUFFIXES,
    fixed_part,
    result_names,
    stem,
    unlike_file,
    visible_files,
)
from trace_edges.jobs.entries import Entry
from trace_edges.jobs.places import FilePlace, NoPlace, Place, stamp_of
from trace_edges.jobs.remote import full_name, join, read_bytes
from trace_edges.jobs.stores import ask, filesystem, is_web, kind_of, stamp_in


@dataclass(frozen=True)
class FolderSource:
    """The images of a folder and those below it, or of a pattern (`*`, `?`, `[...]`, `**`).

    Keys are paths relative to the folder, or to the part of the pattern before the first star,
    without suffix; files of one name keep theirs. Hidden files and results are left out.

    Attributes:
        url: of the folder, or the pattern.
        passed_over: names of files of kinds that are never read, when it was listed last.
    """

    url: str
    passed_over: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def describe(self) -> dict[str, Any]:
        return {"source": "folder", "url": self.url}

    def check(self) -> None:
        check_there(self.url)

    def entries(self) -> Iterator[Entry]:
        shut: list[OSError] = []
        base, stamps = self._found(shut)
        system, _ = filesystem(self.url)
        base = base.rstrip("/") + "/" if base else ""
        below = [path.removeprefix(base) for path in stamps]
        self.passed_over[:] = [name for name in below if name.lower().endswith(OTHER_SUFFIXES)]
        for name, key in result_names(sorted(filter(is_image, below))).items():
            path = base + name
            place: Place = FilePlace.listed(full_name(system, path), stamps[path])
            local = isinstance(system, LocalFileSystem)
            if local and (what := unlike_file(path)):
                place = NoPlace(f"{name}: {what}; take it out")
            yield Entry(key, place, name)
        for error in shut:
            name = str(error.filename or self.url).removeprefix(base)
            reason = f"{name}: cannot be listed ({error.strerror or error}); change its permissions"
            yield Entry(f"{name}/", NoPlace(reason), name)

    def _found(self, shut: list[OSError]) -> tuple[str, Mapping[str, str]]:
        """What names are relative to, and the files below it, with the stamps that a store told;
        folders that cannot be listed go to `shut`.
        """
        system, path = filesystem(self.url)
        kind = kind_of(self.url)
        if kind is None and glob.has_magic(path):
            return fixed_part(path), _told(self.url, system.glob)
        if kind == "directory" or (is_web(self.url) and ask(self.url, system.isdir, path)):
            if isinstance(system, LocalFileSystem):
                return path, dict.fromkeys(map(str, visible_files(path, True, shut)), "")
            return path, _told(self.url, system.find)
        if kind is None:
            raise InputError(f"{self.url}: there is no such file or folder; check the path")
        if not is_image(path.rpartition("/")[2]):
            raise InputError(f"{self.url}: is not an image, tar, Parquet file or COCO JSON; check "
                             "it, or say what it is with --from")  # fmt: skip
        return path.rpartition("/")[0], {path: stamp_of(self.url)}


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
        content = parse_json(lambda: read_bytes(self.json), self.json)
        listed = content.get("images") if isinstance(content, dict) else None
        if not isinstance(listed, list):
            raise FileError(self.json, "lists no images", "give a JSON with COCO's images")
        ids: set[int] = set()
        stamps = _stamps(self.images)
        for number, image in enumerate(listed):
            if (problem := _unlike_coco(image, ids)) is not None:
                reason = f"{self.json}: images[{number}] {problem}"
                yield Entry(f"images[{number}]", NoPlace(reason), f"images[{number}]")
                continue
            name = image["file_name"]
            ids.add(image["id"])
            place = FilePlace.listed(join(self.images, name), stamps.get(name, ""))
            yield Entry(stem(name), place, name, image["id"])


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
            raise InputError(f"{path}: there is no such split; check its name") from None
        except UnicodeDecodeError as error:
            raise FileError(path, f"is not text ({error})", "fetch it again") from error
        stamps = _stamps(folder)
        for key in names:
            name = f"{key}.jpg"
            place = FilePlace.listed(join(folder, name), stamps.get(name, ""))
            yield Entry(key, place, name)


def _told(url: str, listing: Callable[..., Any]) -> dict[str, str]:
    """What `find` or `glob` of a store gives for a URL, with the stamps of the files."""
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        return dict.fromkeys(ask(url, listing, path), "")
    return {one: stamp_in(told) for one, told in ask(url, listing, path, detail=True).items()}


def _stamps(folder: str) -> Mapping[str, str]:
    """Of all files below a folder, by name there, where a store lists them at once; none of this
    machine, whose files are asked one by one.
    """
    system, path = filesystem(folder)
    if isinstance(system, LocalFileSystem) or is_web(folder):
        return {}
    try:
        told = _told(folder, system.find)
    except (PermissionError, FileNotFoundError):  # it may let its objects be read all the same
        return {}
    base = path.rstrip("/") + "/"
    return {one.removeprefix(base): stamp for one, stamp in told.items()}


def check_there(url: str) -> None:
    """Ask the store of a path or URL whether anything is there; of a pattern, before its stars.

    Raises:
        OSError: the store does not answer.
        InputError: there is nothing.
    """
    root = fixed_part(url)
    whole = root == url
    filesystem(root)[0].invalidate_cache()  # of what it told an earlier job of this process
    if kind_of(root) is None and not is_web(url):  # a web server need not list its folders
        mend = "check the path" if whole else "check the pattern"
        raise InputError(f"{url}: there is no such file or folder; {mend}")


def is_image(name: str) -> bool:
    """Whether a relative path is called like an image, is not hidden, and no result of ours."""
    lower = name.lower()
    hidden = any(part.startswith(".") and part not in (".", "..") for part in lower.split("/"))
    called = lower.endswith((*IMAGE_SUFFIXES, *FURTHER_SUFFIXES))
    return called and not lower.endswith(RESULT_SUFFIXES) and not hidden


def _unlike_coco(image: Any, ids: set[int]) -> str | None:
    """What is wrong with an entry of COCO's images; `ids` are those of the ones before it."""
    if not isinstance(image, dict) or not {"id", "file_name"} <= image.keys():
        return "lacks id or file_name: add it or remove the entry"
    number, name = image["id"], image["file_name"]
    if not isinstance(name, str) or not name:
        return "has a file_name that is not text: correct it"
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) >= 1 << 63:
        return f"({name}) has an id that is not a whole number of 64 bits: correct it"
    if number in ids:
        return f"({name}) has the id {number}, which another image has too: give it its own"
    return None
