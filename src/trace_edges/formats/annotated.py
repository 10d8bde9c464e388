"""Results of `trace-edges annotate` as a set of masks: a folder of records, tars, or Parquet."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trace_edges.extras import require
from trace_edges.files import FileError, check_regular, parse_json, read_json
from trace_edges.formats.coco_models import CALLED_CATEGORY, CATEGORY_MASK
from trace_edges.formats.coco_set import held_masks
from trace_edges.formats.entries import shown, sound_entries
from trace_edges.formats.folders import list_files
from trace_edges.formats.labelled import (
    OBJECT,
    Categories,
    Labelled,
    LabelledSet,
    Reading,
    finding_of,
)
from trace_edges.formats.panoptic import segments
from trace_edges.formats.pixels import colour_ids
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
                for record in readers.get(file.suffix, _in_folder)(file):
                    yield from _image(record, categories)
            except (OSError, ValueError, tarfile.TarError) as error:
                yield finding_of(error, file)

    return LabelledSet((), images())


@dataclass(frozen=True)
class _Record:
    """Where the record of an image is, its name, and what reads it and its map."""

    subject: str
    name: str
    content: Callable[[], Any]
    png: Callable[[], bytes]


def _in_folder(folder: Path) -> Iterator[_Record]:
    for file in list_files(folder, (".json",), recursive=True):
        name = file.relative_to(folder).with_suffix("").as_posix()
        png = partial(_regular, file.with_suffix(f".{_PNG}"))
        yield _Record(str(file), name, partial(read_json, file), png)


def _regular(file: Path) -> bytes:
    check_regular(file)
    return file.read_bytes()


def _in_tar(file: Path) -> Iterator[_Record]:
    with tarfile.open(file, "r:") as tar:
        members = {m.name: m for m in tar if m.isfile() and m.size < _LARGEST}

        def read(member: str) -> bytes:
            opened = tar.extractfile(members[member])
            assert opened is not None
            return opened.read()

        for member in members:
            stem, dot, suffix = member.partition(".")
            if dot and suffix == "json":
                subject, content = f"{file}: {member}", partial(read, member)
                png = partial(read, f"{stem}.{_PNG}")
                content = partial(parse_json, content, subject)
                yield _Record(subject, member_key(stem), content, png)


def _in_parquet(file: Path) -> Iterator[_Record]:
    arrow, parquet = require("pyarrow", "annotate"), require("pyarrow.parquet", "annotate")
    try:
        table = parquet.ParquetFile(file)
        held = table.schema_arrow.names
        if "record" not in held or "key" not in held:
            if table.metadata.num_rows:
                mend = "give results of trace-edges annotate"
                raise FileError(file, "has no columns 'key' and 'record'", mend)
            return
        names = [name for name in ("key", "record", "panoptic_png") if name in held]
        for batch in table.iter_batches(batch_size=64, columns=names):
            for row in batch.to_pylist():
                subject = f"{file}: {row['key']}"
                content = partial(parse_json, partial(_held, row["record"], str), subject)
                png = partial(_held, row.get("panoptic_png"), bytes)
                yield _Record(subject, str(row["key"]), content, png)
    except arrow.ArrowException as error:
        raise FileError(file, f"cannot be read ({error})", "write or fetch it again") from error


def _held(cell: Any, kind: type) -> Any:
    if not isinstance(cell, kind):
        raise ValueError(f"is {shown(cell)}")
    return cell


def _image(record: _Record, categories: Categories) -> Iterator[Labelled | Finding]:
    subject = record.subject
    try:
        content = record.content()
        if not is_record(content):
            problem = "is no record of an image, with height, width and masks"
            mend = "none is needed if it is of another tool: it is left out"
            yield Finding(subject, problem, mend, "warning")
            return
        height, width = size = content["height"], content["width"]
        if not is_size(height, width):
            raise ValueError(f"is of {shown(width)} x {shown(height)} px")
        file_name = _below(record.name, content.get("file", content.get("image")))
        if "categories" in content:
            named, bad = sound_entries(CALLED_CATEGORY, content, "categories", subject)
            yield from bad
            for one in named:
                categories(one.id, one.name, one.isthing)
        if "segments_info" in content:
            with decoding(subject):
                image = open_pillow(io.BytesIO(record.png()), subject)
                if image.size != size[::-1] or image.mode != "RGB":
                    raise ValueError("is of another size than its record says, or not RGB")
                ids = colour_ids(np.asarray(image))
            info = content["segments_info"]
            yield from segments(record.name, ids, info, categories, subject, file_name)
            return
        masks, findings = sound_entries(CATEGORY_MASK, _of_one_image(content), "annotations",
                                        subject)  # fmt: skip
        yield from findings
        if "categories" not in content:
            categories(OBJECT.id, OBJECT.name)
        held = yield from held_masks(masks, size, categories, subject)
        yield held.labelled(record.name, file_name)
    except (ValueError, OSError) as error:
        yield finding_of(error, subject)


def _of_one_image(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The annotations as COCO has them; their ids count within the image, and are no ids there."""
    given = content["annotations"]
    if not isinstance(given, list):
        return content
    of = {"image_id": 0, "id": None}
    return {"annotations": [{**one, **of} if isinstance(one, Mapping) else one for one in given]}


def _below(name: str, file: Any) -> str | None:
    """The photograph's file name, in the folder of the name."""
    if not isinstance(file, str):
        return None
    folder, slash, _ = name.rpartition("/")
    return folder + slash + file.replace("\\", "/").rpartition("/")[2]
