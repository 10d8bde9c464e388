"""Masks as labelme has them: a JSON for each image, of polygons, and of shapes of the kind "mask"
(labelme 5.3 and later) where there are holes or several parts.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trace_edges.files import FileError, read_json, write_json, write_text
from trace_edges.formats.entries import entry_name, shown
from trace_edges.formats.folders import list_files
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
    within,
)
from trace_edges.formats.listing import Entry, bare
from trace_edges.formats.outlines import Size, checked_points, filled_as_drawn, polygon
from trace_edges.formats.truth import Finding
from trace_edges.formats.values import KEY, is_size
from trace_edges.images.opening import decoding, open_pillow
from trace_edges.results import Category
from trace_edges.results.labels import Crop

LABELS = "labels.txt"
_VERSION = "5.3.0"  # of the form: the first with masks
_CROWD = "crowd"
_NO_MASKS = ("rectangle", "circle", "line", "linestrip", "point", "points")


def write_labelme(images: Iterable[Labelled], writing: Writing) -> list[Path]:
    """Write OUT/NAME.json for every image, and OUT/labels.txt for `labelme --labels`.

    A mask is a polygon where labelme fills it to exactly the mask, and else a mask. Holes, parts
    and overlaps are kept; scores, ids and crowds are further entries, which labelme keeps.
    """
    for image in images:
        path = writing.out / f"{bare(image.name)}.json"
        photograph = image.file_in(writing.photographs)
        if photograph is None:
            place = image.photograph.rpartition("/")[2]
        else:
            place = Path(os.path.relpath(photograph.absolute(), path.parent.absolute())).as_posix()
        height, width = image.masks.shape
        content: Entry = {
            "version": _VERSION,
            "flags": {},
            "shapes": list(_shapes(image)),
            "imagePath": place,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
            "file_name": image.photograph,
        }
        write_json(content | ({} if image.id is None else {"image_id": image.id}), path)
    names = ["__ignore__", "_background_", *(one.name for one in writing.categories())]
    write_text("".join(f"{' '.join(name.split())}\n" for name in names), writing.out / LABELS)
    return [writing.out]


def _shapes(image: Labelled) -> Iterator[Entry]:
    for crop, window, score, mark in image:
        top, left = window[0].start, window[1].start
        path = polygon(crop)
        filled, corner = filled_as_drawn(path.astype(np.float64), crop.shape)
        if corner == (0, 0) and np.array_equal(filled, crop):
            points = path + np.array([left, top])
            form: Entry = {"points": points.tolist(), "shape_type": "polygon"}
        else:
            png = io.BytesIO()
            Image.fromarray(crop.astype(np.uint8)).save(png, "PNG")
            ends = [[left, top], [window[1].stop - 1, window[0].stop - 1]]
            code = base64.b64encode(png.getvalue()).decode("ascii")
            form = {"points": ends, "shape_type": "mask", "mask": code}
        yield {
            "label": mark.category.name,
            "group_id": None,
            "description": "",
            "flags": {_CROWD: True} if mark.crowd else {},
            **form,
            "score": score,
            **({} if mark.id is None else {"id": mark.id}),
        }


def find_labelme(path: Path) -> list[Path]:
    """The JSONs that labelme may have written: the file, or those of a folder."""
    return [path] if path.is_file() else list_files(path, (".json",), recursive=True)


def is_labelme(content: Any) -> bool:
    """Whether a JSON is labelme's."""
    return isinstance(content, Mapping) and {"shapes", "imagePath"} <= content.keys()


def read_labelme(path: Path, reading: Reading) -> LabelledSet:
    """The polygons and masks of every image of a folder. Polygons of one label and group are one
    instance, as for labelme's own converters.
    """
    categories = Categories()
    labels = (path if path.is_dir() else path.parent) / LABELS
    listed: list[Category] = []
    if labels.is_file():
        for line in labels.read_text("utf-8-sig", errors="replace").splitlines():
            if line.strip() and line.strip() not in ("__ignore__", "_background_"):
                listed.append(categories(line.strip()))
    return LabelledSet(listed, _images(path, categories))


def _images(path: Path, categories: Categories) -> Iterator[Labelled | Finding]:
    for file in find_labelme(path):
        try:
            content = read_json(file)
            if not is_labelme(content):
                problem = "has no 'imagePath' and 'shapes', as labelme's files have"
                yield Finding(str(file), problem, "none is needed if it is of another tool: it is "
                              "left out", "warning")  # fmt: skip
                continue
            below = file.relative_to(path) if path.is_dir() else Path(file.name)
            yield from _image(file, below.with_suffix("").as_posix(), content, categories)
        except (FileError, OSError) as error:
            yield finding_of(error, file)


def _image(
    file: Path, name: str, content: Mapping[str, Any], categories: Categories
) -> Iterator[Labelled | Finding]:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    shapes, path = content["shapes"], content["imagePath"]
    if not is_size(height, width):
        yield Finding(str(file), f"has an image of {shown(width)} x {shown(height)} px", "save it "
                      "again with labelme")  # fmt: skip
        return
    if not isinstance(shapes, list):
        yield Finding(str(file), "has no list 'shapes'", "save it again with labelme")
        return
    if not isinstance(path, str):
        problem = f"has {shown(path)} as its imagePath"
        yield Finding(str(file), problem, "save it again with labelme")
        return
    size: Size = (height, width)  # type: ignore[assignment]
    masks = MaskList(size)
    groups: dict[Any, list[tuple[Any, ...]]] = {}
    other = 0
    for place, shape in enumerate(shapes):
        if isinstance(shape, Mapping) and shape.get("shape_type") in _NO_MASKS:
            other += 1
            continue
        try:
            group, *read = _shape(shape, size, categories)
        except ValueError as error:
            yield finding_of(error, f"{file}: {entry_name('shapes', place)}")
            continue
        groups.setdefault(place if group is None else group, []).append((place, *read))
    if other:
        yield left_out(file, f"{other} shapes")
    for parts in groups.values():
        place, crop, corner, score, mark = parts[0]
        try:
            if len(parts) > 1:
                crop, corner = _union([part[1:3] for part in parts], masks.size)
            masks.add(crop, corner, score, mark)
        except ValueError as error:
            yield finding_of(error, f"{file}: {entry_name('shapes', place)}")
    file_name = content.get("file_name")
    photograph = path.replace("\\", "/").rpartition("/")[2]
    if not isinstance(file_name, str) or image_name(file_name) != name:
        file_name = f"{name.rpartition('/')[0]}/{photograph}".lstrip("/")
    yield masks.labelled(name, file_name, given_key(content, "image_id"))


def _shape(shape: Any, size: Size, categories: Categories) -> tuple[Any, ...]:
    """Group, mask, (top, left), score and mark of a shape."""
    if not isinstance(shape, Mapping) or not isinstance(shape.get("label"), str):
        raise ValueError("has no label")
    kind, given = shape.get("shape_type") or "polygon", shape.get("points")
    if not isinstance(given, list) or not all(isinstance(p, list) and len(p) == 2 for p in given):
        raise ValueError("has no points")
    if kind == "polygon":
        crop, corner = filled_as_drawn(checked_points([x for p in given for x in p]), size)
    elif kind == "mask":
        crop, corner = _decoded(shape.get("mask"), given, size)
    else:
        raise ValueError(f"is a {shown(kind)} and no mask")
    flags = shape.get("flags")
    crowd = isinstance(flags, Mapping) and flags.get(_CROWD) is True
    id = KEY.validate_python(shape["id"]) if "id" in shape else None
    score = given_score(shape.get("score"))
    group = shape.get("group_id")
    mark = Mark(categories(shape["label"]), crowd, id)
    joined = (shape["label"], group) if isinstance(group, int) else None
    return joined, crop, corner, score, mark


def _decoded(code: Any, ends: list[Any], size: Size) -> tuple[Crop, tuple[int, int]]:
    """The PNG of a mask; nothing is decoded that is not as large as its box."""
    try:
        (left, top), (right, bottom) = [[int(value) for value in end] for end in ends]
        content = base64.b64decode(code, validate=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("has no PNG as its mask, or no two corners") from error
    box = (right - left + 1, bottom - top + 1)
    with decoding("its mask"):
        image = open_pillow(io.BytesIO(content), "its mask")
    if image.size != box or box[0] > 2 * size[1] + 2 or box[1] > 2 * size[0] + 2:
        raise ValueError(f"has a mask of {image.size} px in a box of {box}")
    with decoding("its mask"):
        return np.asarray(image.convert("L")) > 0, (top, left)


def _union(parts: Sequence[tuple[Crop, tuple[int, int]]], size: Size) -> tuple[Crop, Any]:
    whole = np.zeros(size, dtype=bool)
    for crop, corner in parts:
        inside, (top, left) = within(crop, corner, size)
        whole[top : top + inside.shape[0], left : left + inside.shape[1]] |= inside
    return whole, (0, 0)
