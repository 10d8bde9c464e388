"""The tasks of a Label Studio project: written with predictions, and read back when corrected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Bool

from trace_edges.files import read_json, write_atomically, write_text
from trace_edges.formats.entries import entry_name, shown
from trace_edges.formats.label_studio import strokes
from trace_edges.formats.labelled import (
    Categories,
    Labelled,
    LabelledSet,
    Mark,
    MaskList,
    Reading,
    Writing,
    finding_of,
    given_key,
    given_score,
    image_name,
    left_out,
)
from trace_edges.formats.listing import Entry
from trace_edges.formats.outlines import checked_points, filled_between
from trace_edges.formats.truth import Finding, refusal
from trace_edges.formats.values import FILE_NAME, is_size

FILE, INTERFACE = "tasks.json", "interface.xml"
ROOT = "/data/local-files/?d="
_CHANNELS = 4


def write_label_studio(images: Iterable[Labelled], writing: Writing) -> list[Path]:
    """Write OUT/tasks.json, to import into a project, and beside it interface.xml, its labelling
    interface.

    Masks are brush strokes, so holes, parts and overlaps are kept. `image_id` and `file_name` go
    into the data of a task, where Label Studio keeps them.
    """
    path = writing.file(FILE)
    with write_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for place, image in enumerate(images):
            names = [mark.category.name for mark in image.marks]
            result = strokes(image.masks, image.name, names)
            data: Entry = {"image": f"{writing.image_root or ROOT}{image.photograph}"}
            height, width = image.masks.shape
            data |= {"file_name": image.photograph, "height": height, "width": width}
            data |= {} if image.id is None else {"image_id": image.id}
            prediction = {"model_version": "trace-edges", "result": result}
            task = {"data": data, "predictions": [prediction]}
            file.write(",\n" if place else "[")
            json.dump(task, file, separators=(",", ":"), allow_nan=False)
        file.write("]\n" if file.tell() else "[]\n")
    labels = "".join(f"    <Label value={quoteattr(one.name)}/>\n" for one in writing.categories())
    write_text(
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <BrushLabels name="mask" toName="image">\n{labels}  </BrushLabels>\n</View>\n',
        path.with_name(INTERFACE),
    )
    return [path, path.with_name(INTERFACE)]


def read_label_studio(path: Path, reading: Reading) -> LabelledSet:
    """The brush strokes and polygons of every task of a JSON that Label Studio exported, or that
    was made for it: of the last annotation that was not cancelled, or else of the last prediction.

    Raises:
        GroundTruthError: it is no list of tasks.
    """
    content = read_json(path) if reading.content is None else reading.content
    if not isinstance(content, list):
        raise refusal(path, "is no list of tasks", "export the project as JSON")
    return LabelledSet((), _images(path, content))


def _images(path: Path, tasks: list[Any]) -> Iterator[Labelled | Finding]:
    categories = Categories()
    stems = Counter(Path(_file_name(task)).stem for task in tasks)
    for place, task in enumerate(tasks):
        subject = f"{path}: {entry_name('tasks', place)}"
        file_name = _file_name(task)
        if not file_name:
            yield Finding(subject, "has no data.image", "export the project as JSON")
            continue
        if "file_name" not in task["data"] and stems[Path(file_name).stem] == 1:
            file_name = file_name.rpartition("/")[2]
        regions, bad = _regions(task)
        size = bad or _size(regions, task)
        if isinstance(size, str):
            yield Finding(subject, size, "export the project as JSON again")
            continue
        masks, passed = MaskList(size), 0
        for region in regions:
            if region["type"] not in ("brushlabels", "polygonlabels"):
                passed += region["type"] not in ("choices", "taxonomy", "rating", "textarea")
                continue
            try:
                _add(region, masks, categories)
            except ValueError as error:
                yield finding_of(error, f"{subject}: region {region.get('id')}")
        if passed:
            yield left_out(subject, f"{passed} regions")
        id = given_key(task["data"], "image_id")
        yield masks.labelled(image_name(file_name), file_name, id)


def _file_name(task: Any) -> str:
    """The path of the image of a task, as far as its address gives one; empty if it has none."""
    data = task.get("data") if isinstance(task, Mapping) else None
    if not isinstance(data, Mapping):
        return ""
    address = data.get("file_name", data.get("image"))
    if not isinstance(address, str):
        return ""
    parts = urlsplit(address) if "file_name" not in data else None
    if parts is not None:
        local = parse_qs(parts.query).get("d")
        address = local[0] if local else unquote(parts.path)
    try:
        return FILE_NAME.validate_python(address).lstrip("/")
    except ValueError:
        return ""


def _regions(task: Mapping[str, Any]) -> tuple[list[Any], str]:
    """The regions of a task, and what is wrong with it."""
    for key in ("annotations", "predictions"):
        given = task.get(key) or []
        entries = [one for one in given if isinstance(one, Mapping)]
        kept = [one for one in entries if not one.get("was_cancelled")]
        if kept:
            result = kept[-1].get("result")
            if not isinstance(result, list):
                return [], f"has {key} without a list 'result'"
            return [one for one in result if isinstance(one, Mapping) and "type" in one], ""
    return [], ""


def _size(regions: list[Any], task: Mapping[str, Any]) -> tuple[int, int] | str:
    """Height and width; what is wrong where there is none."""
    data = task["data"]
    sizes = [(one.get("original_height"), one.get("original_width")) for one in regions]
    height, width = sizes[0] if sizes else (data.get("height"), data.get("width"))
    if is_size(height, width):
        return int(height), int(width)
    return f"has an image of {shown(width)} x {shown(height)} px"


def _add(region: Mapping[str, Any], masks: MaskList, categories: Categories) -> None:
    value, kind = region.get("value"), region["type"]
    if not isinstance(value, Mapping):
        raise ValueError("has no value")
    labels = value.get(kind)
    name = labels[0] if isinstance(labels, list) and labels else "object"
    score = given_score(region.get("score"))
    if kind == "brushlabels":
        mask, corner = brush_mask(value.get("rle"), masks.size), (0, 0)
    else:
        flat = [x for point in value.get("points") or () for x in point]
        shares = checked_points(flat)
        mask, corner = filled_between(shares * np.array(masks.size[::-1]) / 100, masks.size)
    masks.add(mask, corner, score, Mark(categories(str(name))))


def brush_mask(code: Any, size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The mask of Label Studio's run lengths, as `brush_rle` writes them: where its RGBA image is
    not transparent.

    Raises:
        ValueError: they are damaged, or of another size.
    """
    try:
        bits = np.unpackbits(np.array(code, dtype=np.uint8))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("has no list of bytes as its RLE") from error
    text = (bits + ord("0")).tobytes().decode("ascii")
    place = 0

    def read(count: int) -> int:
        nonlocal place
        if place + count > len(text):
            raise ValueError("has an RLE that is cut off")
        place += count
        return int(text[place - count : place], 2)

    total, word = read(32), read(5) + 1
    if total != size[0] * size[1] * _CHANNELS or word != 8:
        raise ValueError(f"has an RLE of {total} values, and not 4 x {size[0]} x {size[1]}")
    lengths = [read(4) + 1 for _ in range(4)]
    values, done = np.zeros(total, dtype=np.uint8), 0
    while done < total:
        repeated, count = read(1), read(lengths[read(2)]) + 1
        end = done + count
        if end > total:
            raise ValueError("has an RLE that does not fill the image")
        if repeated:
            values[done:end] = read(word)
        else:
            values[done:end] = [read(word) for _ in range(count)]
        done = end
    return values.reshape(*size, _CHANNELS)[:, :, 3] > 0
