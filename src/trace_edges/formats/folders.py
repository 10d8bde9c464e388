"""Folders of one file per image: which file is of which image, by their paths without suffix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from trace_edges.formats.truth import Finding, GroundTruthError, refusal
from trace_edges.inputs import visible_files


def list_files(folder: Path, suffixes: Collection[str], *, recursive: bool = False) -> list[Path]:
    """The visible files of a folder with one of the suffixes, sorted."""
    shut: list[OSError] = []
    paths = list(visible_files(str(folder), recursive, shut, with_results=True))
    for error in shut:
        raise error
    return sorted(path for path in paths if path.suffix.lower() in suffixes)


def find_by_name(
    folder: Path,
    kind: str,
    suffixes: Collection[str],
    *,
    of: str = "",
    without: Collection[str] = (),
) -> dict[str, Path]:
    """The files of a folder and those below it by the name of their image: day1/cat in day1.

    Args:
        folder: where they are.
        kind: what a file is, for messages: "edge map".
        suffixes: that such files may have.
        of: an ending of stems that is no part of a name: with ".edges", cat.edges.png is of cat.
        without: endings of the stems of other files, which are passed over.

    Raises:
        ValueError: there is no such folder, no file of the kind in it, or two of one image.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder of {kind}s; check the path")
    files: dict[str, Path] = {}
    for path in list_files(folder, suffixes, recursive=True):
        if path.stem.endswith(tuple(without)) or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix("").as_posix().removesuffix(of)
        if name in files:
            raise ValueError(f"{path}: {files[name].name} is of the same image; remove one of them")
        files[name] = path
    if not files:
        raise ValueError(f"{folder} holds no {kind} ({', '.join(suffixes)})")
    return files


def by_name(paths: Iterable[Path], folder: Path) -> tuple[dict[str, Path], list[Finding]]:
    """The first file of every name below a folder (day1/cat), and what is wrong with the others."""
    files: dict[str, Path] = {}
    clashes = []
    for path in paths:
        below = path.relative_to(folder) if folder in path.parents else Path(path.name)
        first = files.setdefault(below.with_suffix("").as_posix(), path)
        if first is not path:
            problem = f"{first.name} has the same stem, which is the name of an image"
            clashes.append(Finding(str(path), problem, "remove or rename one of the two"))
    return files, clashes


def annotation_files(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """The annotation file of every image of a folder and those below it, by name.

    Raises:
        GroundTruthError: there is none, or two have one name.
    """
    files, clashes = by_name(list_files(folder, suffixes, recursive=True), folder)
    if clashes:
        raise GroundTruthError(clashes[0])
    if not files:
        raise refusal(
            folder, f"holds no file of {', '.join(suffixes)}", "give the folder they are in"
        )
    return files


class NamedFiles:
    """Files of a folder, found by the name of their image.

    The file of day1/cat is that of cat in the folder day1. Where one side knows no folders, as many
    lists of images and detectors of edges do not, the file of cat is that of day1/cat and the other
    way round: if no other image of a list, and no other file, is called cat.

    Attributes:
        paths: by their own names.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = paths
        self._below: dict[str, list[str]] = {}
        for name in paths:
            self._below.setdefault(name.rpartition("/")[2], []).append(name)

    def of(self, names: Collection[str]) -> dict[str, Path]:
        """The files of images, by their names, for those that have one."""
        uses = Counter(name.rpartition("/")[2] for name in names)
        found = {}
        for name in names:
            stem = name.rpartition("/")[2]
            known = self._below.get(stem, [])
            if name in self.paths:
                found[name] = self.paths[name]
            elif uses[stem] == 1 and len(known) == 1 and (stem in (name, known[0])):
                found[name] = self.paths[known[0]]
        return found
