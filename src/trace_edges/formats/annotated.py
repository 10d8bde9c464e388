"""Results of `trace-edges annotate` as a set of masks: a folder of records, tars, or Parquet."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trace_edges.extras import require
from trace_edges.files import FileError, read_json
from trace_edges.formats.coco_masks import checked_runs
from trace_edges.formats.coco_models import CATEGORY_MASK
from trace_edges.formats.entries import sound_entries
from trace_edges.formats.folders import list_files
from trace_edges.formats.labelled import (
    OBJECT,
    Categories,
    Labelled,
    LabelledSet,
    Mark,
    MaskList,
    Reading,
    finding_of,
)
from trace_edges.formats.panoptic import segments
from trace_edges.formats.pixels import colour_ids
from trace_edges.formats.rle import decode_crop
from trace_edges.formats.truth import Finding
from trace_edges.formats.values import is_size
from trace_edges.images.opening import decoding, open_pillow

SUFFIXES = (".tar", ".parquet")
_PNG = "panoptic.png"
_LARGEST = 1 << 30  # bytes of a member


def member_stem(key: str) -> str:
    """What the members of a result are called in a tar, up to their suffixes: dots of its name
    become %2E, and % %25.
    """
    folder, slash, name = key.rpartition("/")
    return folder + slash + name.replace("%", "%25").replace(".", "%2E")


def member_key(stem: str) -> str:
    """The inverse of `member_stem`."""
    return stem.replace("%2E", ".").replace("%25", "%")


def is_record(content: Any) -> bool:
    """Whether a JSON is the record of one image, with masks or segments."""
    return isinstance(content, Mapping) and (
        {"height", "width"} <= content.keys()
        and bool({"annotations", "segments_info"} & content.keys())
    )


def find_parts(path: Path) -> list[Path]:
    """The tars and Parquet files: the path itself, or those of a folder."""
    return [path] if path.is_file() else list_files(path, SUFFIXES)


def read_annotated(path: Path, reading: Reading) -> LabelledSet:
    """The masks or segments of every record, in the order of the files."""
    categories = Categories()

    def images() -> Iterator[Labelled | Finding]:
        readers = {".tar": _in_tar, ".parquet": _in_parquet}
        for file in find_parts(path) or [path]:
            try:
                for name, record, png in readers.get(file.suffix, _in_folder)(file):
                    yield from _image(f"{file}: {name}", name, record, png, categories)
            except (OSError, ValueError, tarfile.TarError) as error:
                yield finding_of(error, file)

    return LabelledSet((), images())


Record = tuple[str, Mapping[str, Any], Callable[[], bytes]]


def _in_folder(folder: Path) -> Iterator[Record]:
    for file in list_files(folder, (".json",), recursive=True):
        try:
            content = read_json(file)
        except FileError:
            continue  # of others
        if is_record(content):
            name = file.relative_to(folder).with_suffix("").as_posix()
            yield name, content, file.with_suffix(f".{_PNG}").read_bytes


def _in_tar(file: Path) -> Iterator[Record]:
    with tarfile.open(file, "r:") as tar:
        members = {m.name: m for m in tar if m.isfile() and m.size < _LARGEST}

        def read(member: str) -> bytes:
            opened = tar.extractfile(members[member])
            assert opened is not None
            return opened.read()

        for member in members:
            stem, dot, suffix = member.partition(".")
            if dot and suffix == "json":
                png = f"{stem}.{_PNG}"
                yield member_key(stem), json.loads(read(member)), partial(read, png)


def _in_parquet(file: Path) -> Iterator[Record]:
    parquet = require("pyarrow.parquet", "annotate")
    table = parquet.ParquetFile(file)
    names = [name for name in ("key", "record", "panoptic_png") if name in table.schema_arrow.names]
    if "record" not in names:
        if table.metadata.num_rows:
            raise FileError(file, "has no column 'record'", "give results of trace-edges annotate")
        return
    for batch in table.iter_batches(batch_size=64, columns=names):
        for row in batch.to_pylist():
            yield row["key"], json.loads(row["record"]), partial(bytes, row.get("panoptic_png"))


def _image(
    subject: str,
    name: str,
    record: Mapping[str, Any],
    png: Callable[[], bytes],
    categories: Categories,
) -> Iterator[Labelled | Finding]:
    try:
        size = (int(record["height"]), int(record["width"]))
        if not is_size(*size):
            raise ValueError(f"is {size[1]} x {size[0]} px")
        file_name = _below(name, record.get("file", record.get("image")))
        if "segments_info" in record:
            with decoding(subject):
                image = open_pillow(io.BytesIO(png()), subject)
                if image.size != size[::-1] or image.mode != "RGB":
                    raise ValueError("is of another size than its record says, or not RGB")
                ids = colour_ids(np.asarray(image))
            info = record["segments_info"]
            yield from segments(name, ids, info, categories, subject, file_name)
            return
        entries = [{"image_id": 0, **one} for one in record["annotations"]]
        sound, findings = sound_entries(
            CATEGORY_MASK, {"annotations": entries}, "annotations", subject
        )
        yield from findings
        listed = record.get("categories", [{"id": OBJECT.id, "name": OBJECT.name}])
        names = {one["id"]: str(one["name"]) for one in listed}
        masks = MaskList(size)
        for mask in sound:
            window, crop = decode_crop(checked_runs(mask, size, subject), size)
            kind = categories(mask.category_id, names.get(mask.category_id))
            mark = Mark(kind, mask.iscrowd)
            score = 1.0 if mask.score is None else mask.score
            masks.add(crop, (window[0].start, window[1].start), score, mark)
        yield masks.labelled(name, file_name)
    except (ValueError, KeyError, TypeError, OSError, IndexError) as error:
        yield finding_of(error, subject)


def _below(name: str, file: Any) -> str | None:
    """The photograph's file name, in the folder of the name."""
    if not isinstance(file, str):
        return None
    folder, slash, _ = name.rpartition("/")
    return folder + slash + file.replace("\\", "/").rpartition("/")[2]
