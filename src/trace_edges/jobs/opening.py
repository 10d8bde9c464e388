"""Which kind of data set a path or URL stands for."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import get_args

from trace_edges.jobs.choices import Kind
from trace_edges.jobs.entries import Source
from trace_edges.jobs.inputs import CocoSource, FolderSource, TarSource, VocSource
from trace_edges.jobs.remote import HUB, absolute, filesystem, is_saved_dataset, join
from trace_edges.jobs.tables import DatasetSource, ParquetSource


def open_source(
    url: str,
    kind: Kind | None = None,
    *,
    images: str | None = None,
    split: str | None = None,
    column: str | None = None,
    key_column: str | None = None,
) -> Source:
    """The data set at a path or URL.

    Args:
        url: a folder, a pattern, tars, a COCO JSON, a folder VOC20xx, Parquet files, a folder that
            `datasets` saved, or hf://datasets/OWNER/NAME.
        kind: what it is; None: what it looks like.
        images: the folder of the photographs of a COCO JSON.
        split: of VOC and `datasets`.
        column, key_column: of Parquet and `datasets`: images, and (Parquet) names.

    Raises:
        ValueError: it looks like nothing that is known, or an option is not for this kind.
    """
    if kind is not None and kind not in get_args(Kind):
        raise ValueError(f"unknown kind of source {kind!r}; known: {', '.join(get_args(Kind))}")
    kind = kind or _guess(url)
    if kind != "datasets" or is_saved_dataset(Path(url)):
        url = absolute(url)
    given = {"images": images, "split": split, "column": column, "key_column": key_column}
    taken = {
        "coco": {"images"}, "voc": {"split"}, "parquet": {"column", "key_column"},
        "datasets": {"split", "column"},
    }.get(kind, set())  # fmt: skip
    for name, value in given.items():
        if value is not None and name not in taken:
            raise ValueError(f"{name} is not for a source of kind {kind}: leave it out")
    match kind:
        case "tar":
            return TarSource(url)
        case "coco":
            if images is None:
                raise ValueError(f"{url}: where are its photographs? Give their folder (images)")
            return CocoSource(url, absolute(images))
        case "voc":
            return VocSource(url, split)
        case "parquet":
            return ParquetSource(url, column, key_column)
        case "datasets":
            return DatasetSource(url, split, column)
    return FolderSource(url)


def _guess(url: str) -> Kind:
    if url.startswith(HUB) or is_saved_dataset(Path(url)):
        return "datasets"
    by_suffix: dict[str, Kind] = {".tar": "tar", ".json": "coco", ".parquet": "parquet"}
    for suffix, kind in by_suffix.items():
        if url.lower().endswith(suffix):
            return kind
    system, path = filesystem(url)
    if glob.has_magic(path) or not system.isdir(path):
        return "folder"
    if system.isdir(join(path, "JPEGImages")):
        return "voc"
    names = [one["name"] for one in system.ls(path, detail=True) if one["type"] == "file"]
    for suffix in (".tar", ".parquet"):
        if names and all(name.endswith(suffix) for name in names):
            return by_suffix[suffix]
    return "folder"
