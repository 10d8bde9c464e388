"""Which kind of data set a path or URL stands for, and where results of a form go."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from trace_edges.formats.coco_set import numbered
from trace_edges.jobs.choices import Form, Kind
from trace_edges.jobs.coco_sink import CocoSink
from trace_edges.jobs.entries import Shard, Source
from trace_edges.jobs.inputs import CocoSource, FolderSource, VocSource, is_image
from trace_edges.jobs.remote import HUB, absolute, is_saved_dataset, join
from trace_edges.jobs.sinks import RECORD, FolderSink, PartSink, Sink
from trace_edges.jobs.stores import ask, filesystem, kind_of
from trace_edges.jobs.tables import SUFFIXES as TABLES
from trace_edges.jobs.tables import DatasetSource, ParquetSource
from trace_edges.jobs.tars import SUFFIXES as TARS
from trace_edges.jobs.tars import TarSource

_DEEPEST = 8  # folders in which Parquet files may lie: year=.../month=.../...


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
                raise ValueError(f"{url}: lists images that lie elsewhere: give their folder with "
                                 "--images (in Python, images)")  # fmt: skip
            return CocoSource(url, absolute(images))
        case "voc":
            return VocSource(url, split)
        case "parquet":
            return ParquetSource(url, column, key_column)
        case "datasets":
            return DatasetSource(url, split, column)
    return FolderSource(url)


def make_sink(
    dest: str, form: Form, task: Any, *, part: int = 1000, shard: Shard | None = None
) -> Sink:
    """The sink of a form for what a task makes.

    Raises:
        ValueError: the form is unknown, or cannot hold what the task makes.
    """
    shard = shard or Shard()
    if form not in get_args(Form):
        raise ValueError(f"unknown form {form!r}; known: {', '.join(get_args(Form))}")
    if part < 1:
        raise ValueError(f"a part holds at least 1 result, not {part}")
    if form == "folder":
        return FolderSink(dest)
    if form == "coco":
        if task.name == "edges":
            raise ValueError("COCO JSON cannot hold edges, only instances or panoptic segments: "
                             "choose folder, tar or parquet")  # fmt: skip
        if task.name == "instances":
            return CocoSink(dest, "instances", numbered(task.classes), shard)
        return CocoSink(dest, "panoptic", tuple(task.classes.categories), shard)
    return PartSink(dest, form, (*task.suffixes, RECORD), part, shard.tag)


def _guess(url: str) -> Kind:
    if url.startswith(HUB) or is_saved_dataset(Path(url)):
        return "datasets"
    if url.lower().endswith(".json"):
        return "coco"
    if (kind := _by_suffix([url])) is not None:
        return kind
    if kind_of(url) != "directory":
        return "folder"
    if kind_of(join(url, "JPEGImages")) == "directory":
        return "voc"
    return _by_files(url) or "folder"


def _by_suffix(names: list[str]) -> Kind | None:
    """What files are; None where there are images among them, or nothing that is known."""
    lower = [name.lower() for name in names]
    if any(map(is_image, lower)):
        return None
    known: dict[tuple[str, ...], Kind] = {TARS: "tar", TABLES: "parquet"}
    return next((kind for end, kind in known.items() if any(n.endswith(end) for n in lower)), None)


def _by_files(url: str) -> Kind | None:
    """What the visible files of a folder are, else those of the first folder below it, ..."""
    system, path = filesystem(url)
    for _ in range(_DEEPEST):
        listed = [
            one for one in ask(url, system.ls, path, detail=True)
            if not one["name"].rstrip("/").rpartition("/")[2].startswith((".", "_"))
        ]  # fmt: skip
        files = [one["name"].rpartition("/")[2] for one in listed if one["type"] == "file"]
        folders = sorted(one["name"] for one in listed if one["type"] == "directory")
        kind = _by_suffix(files)
        if kind is not None or any(map(is_image, files)) or not folders:
            return kind
        path = folders[0]
    return None
