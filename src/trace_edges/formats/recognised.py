"""Which format a file or folder of masks is in, of what is found there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trace_edges.files import FileError, read_json
from trace_edges.formats import cvat, label_studio, yolo
from trace_edges.formats.annotated import SUFFIXES, find_parts, is_record
from trace_edges.formats.folders import list_files
from trace_edges.formats.foreign import tool_of
from trace_edges.formats.labelme import is_labelme

FILES = {
    "instances.json": "coco", "panoptic.json": "coco-panoptic", "labels.json": "coco",
    cvat.FILE: "cvat", label_studio.FILE: "label-studio",
}  # fmt: skip
_SHARDS = re.compile(r"(instances|panoptic)-\d+-of-\d+\.json")


def kind_of(path: Path) -> tuple[str, Path | list[Path], Any]:
    """The format of a file or folder, what of it is read, and the content of a JSON."""
    if path.is_file():
        return _kind_of_file(path)
    names = {file.name for file in path.iterdir() if file.is_file()}
    if known := [name for name in FILES if name in names]:
        if len(known) > 1:
            raise FileError(path, f"holds {' and '.join(known)}", "give one of the files")
        return _kind_of_file(path / known[0])
    if shards := sorted(name for name in names if _SHARDS.fullmatch(name)):
        return FILES[f"{shards[0].partition('-')[0]}.json"], [path / one for one in shards], None
    if find_parts(path):
        return "annotate", path, None
    if yolo.CONFIG in names or (path / yolo.LABELS).is_dir():
        return "yolo", path, None
    files = list_files(path, (".json",), recursive=True)
    for file in files:
        try:
            content = read_json(file)
        except (FileError, OSError):
            continue  # which is said when the files are read
        if is_labelme(content):
            return "labelme", path, None
        if is_record(content):
            return "annotate", path, None
    if len(files) > 1:
        first, second = (file.relative_to(path) for file in files[:2])
        problem = f"holds {len(files)} JSON files, {first} and {second} among them"
        raise FileError(path, problem, "give one of the files")
    if files:
        return _kind_of_file(files[0])
    if any(list_files(path, (".txt",))):
        return "yolo", path, None
    return "png", path, None


def _kind_of_file(path: Path) -> tuple[str, Path, Any]:
    suffix = path.suffix.lower()
    if suffix == ".zip":
        raise FileError(path, "is an archive", "unpack it first")
    if suffix == ".xml" or suffix in SUFFIXES:
        return "cvat" if suffix == ".xml" else "annotate", path, None
    if suffix != ".json":
        return "png", path, None
    content = read_json(path)
    if is_labelme(content):
        return "labelme", path, None
    if isinstance(content, list) and (not content or any(map(_is_task, content))):
        return "label-studio", path, content
    entries = content.get("annotations") if isinstance(content, Mapping) else None
    panoptic = isinstance(entries, list) and any(
        isinstance(one, Mapping) and "segments_info" in one for one in entries
    )
    return "coco-panoptic" if panoptic else "coco", path, content


def _is_task(entry: Any) -> bool:
    return tool_of([entry]) == "Label Studio"
