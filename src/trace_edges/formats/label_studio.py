"""The tasks of a Label Studio project: written with predictions, and read when corrected."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np

from trace_edges.files import read_json, write_atomically, write_text
from trace_edges.formats.brush import brush_mask, brush_rle
from trace_edges.formats.entries import entry_name, shown
from trace_edges.formats.labelled import (
    Categories,
    Labelled,
    LabelledSet,
    Mark,
    MaskList,
    Reading,
    Writing,
    finding_of,
    given,
    given_key,
    given_score,
    image_name,
    left_out,
)
from trace_edges.formats.listing import Entry, OneOrMany, by_name
from trace_edges.formats.outlines import checked_points, filled_between
from trace_edges.formats.pixels import upright_size
from trace_edges.formats.truth import Finding, refusal
from trace_edges.formats.values import FILE_NAME, is_size
from trace_edges.results import InstanceMasks

FILE, INTERFACE = "tasks.json", "interface.xml"
ROOT = "/data/local-files/?d="


def export_label_studio(
    masks: OneOrMany[InstanceMasks],
    path: str | PathLike[str],
    *,
    images: OneOrMany[str],
    category: str = "object",
    version: str = "trace-edges",
) -> None:
    """Write the tasks of a Label Studio project with one prediction each, to import as JSON, and
    beside them interface.xml, the labelling interface of the project.

    Masks are run-length coded brush strokes, so holes, parts and overlaps are kept to the pixel.

    Args:
        masks: one result, several, or a mapping by image name, without a suffix, of which one is
            taken after the other; the images of a list are called 000001, 000002, ...
        path: of the JSON.
        images: where Label Studio finds each image, by name or in the order of the masks: a URL,
            or the path of its local storage, as /data/local-files/?d=photos/cat.jpg.
        category: the label of every mask whose class is not known.
        version: what Label Studio calls the model.

    Raises:
        OSError: a file cannot be written.
        ValueError: an image name leads out of the folder of results, or `images` lacks it.
    """
    masks = by_name(masks)
    places: Mapping[str, str] = by_name(images)
    for name in sorted(masks):
        if name not in places:
            raise ValueError(f"images lacks {name}: say where Label Studio finds it")
    found, categories = given(masks, category)
    write_label_studio(found, Writing(Path(path), categories), places, version)


def write_label_studio(
    images: Iterable[Labelled],
    writing: Writing,
    places: Mapping[str, str] | None = None,
    version: str = "trace-edges",
) -> list[Path]:
    """Write OUT/tasks.json, to import into a project, and beside it interface.xml, its labelling
    interface.

    Masks are brush strokes, so holes, parts and overlaps are kept. `image_id` and `file_name` go
    into the data of a task, where Label Studio keeps them.

    Args:
        places: where Label Studio finds each image, by name. None: under `writing.image_root`.
        version: what Label Studio calls the model.
    """
    path = writing.file(FILE)
    with write_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for number, image in enumerate(images):
            height, width = image.masks.shape
            data: Entry = {"image": f"{writing.image_root or ROOT}{image.photograph}"}
            if places is None:
                data["file_name"] = image.photograph
                data |= {} if image.id is None else {"image_id": image.id}
            else:
                data["image"] = places[image.name]
            data |= {"height": height, "width": width}
            prediction = {"model_version": version, "result": list(_strokes(image))}
            file.write(",\n" if number else "[")
            task = {"data": data, "predictions": [prediction]}
            json.dump(task, file, separators=(",", ":"), allow_nan=False)
        file.write("]\n" if file.tell() else "[]\n")
    labels = "".join(f"    <Label value={quoteattr(one.name)}/>\n" for one in writing.categories())
    write_text(
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <BrushLabels name="mask" toName="image">\n{labels}  </BrushLabels>\n</View>\n',
        path.with_name(INTERFACE),
    )
    return [path, path.with_name(INTERFACE)]


def _strokes(image: Labelled) -> Iterator[Entry]:
    """A brush stroke for each mask, with the name of its class."""
    height, width = image.masks.shape
    for number, (crop, window, score, mark) in enumerate(image, 1):
        yield {
            "id": f"{image.name}-{number}",
            "type": "brushlabels",
            "from_name": "mask",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": list(brush_rle(crop, window, (height, width))),
                "brushlabels": [mark.category.name],
            },
            "score": score,
        }


def read_label_studio(path: Path, reading: Reading) -> LabelledSet:
    """The brush strokes and polygons of every task of a JSON that Label Studio exported, or that
    was made for it: of the last annotation that was not cancelled, or else of the last prediction.

    Raises:
        GroundTruthError: it is no list of tasks.
    """
    content = read_json(path) if reading.content is None else reading.content
    if not isinstance(content, list):
        raise refusal(path, "is not a list of tasks", "export the project as JSON")
    return LabelledSet((), _images(path, content, reading.photographs))


def _images(
    path: Path, tasks: list[Any], photographs: Mapping[str, Path]
) -> Iterator[Labelled | Finding]:
    categories = Categories()
    stems = Counter(Path(_file_name(task)).stem for task in tasks)
    for place, task in enumerate(tasks):
        subject = f"{path}: {entry_name('tasks', place)}"
        file_name = _file_name(task)
        if not file_name:
            yield Finding(subject, "has no data.image", "export the project as JSON")
            continue
        if "file_name" not in task["data"]:
            own = _in_folder(file_name, photographs)
            if own is None and stems[Path(file_name).stem] == 1:
                own = file_name.rpartition("/")[2]
            file_name = own or file_name
        regions, bad = _regions(task)
        size = bad or _size(regions, task)
        photograph = photographs.get(image_name(file_name))
        if isinstance(size, str) and not regions and photograph is not None:
            size = upright_size(photograph)  # everything was removed, and no region tells
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


def _in_folder(path: str, photographs: Mapping[str, Path]) -> str | None:
    """What of the path in an address leads to a photograph. Label Studio puts eight digits before
    the name of a file that was uploaded.
    """
    parts = path.split("/")
    tails = ["/".join(parts[place:]) for place in range(len(parts))]
    tails.append(re.sub(r"^[0-9a-f]{8}-", "", parts[-1]))
    return next((tail for tail in tails if image_name(tail) in photographs), None)


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
        if not isinstance(given, list):
            return [], f"has {shown(given)} as its {key}"
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
    if region.get("image_rotation") not in (None, 0):
        turned = shown(region["image_rotation"])
        raise ValueError(f"was drawn on the image turned by {turned} degrees; draw it again on the "
                         "image as it is")  # fmt: skip
    labels = value.get(kind)
    name = labels[0] if isinstance(labels, list) and labels else "object"
    score = given_score(region.get("score"))
    if kind == "brushlabels":
        mask, corner = brush_mask(value.get("rle"), masks.size), (0, 0)
    else:
        shares = checked_points(value.get("points"))
        mask, corner = filled_between(shares * np.array(masks.size[::-1]) / 100, masks.size)
    masks.add(mask, corner, score, Mark(categories(str(name))))
