"""YOLO segmentation labels, a text file per image and a polygon per line: written and read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

import numpy as np

from trace_edges.extras import require
from trace_edges.files import FileError, read_text, write_text
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
    given,
    photographs_in,
)
from trace_edges.formats.listing import OneOrMany, bare
from trace_edges.formats.outlines import checked_points, filled_path, polygon
from trace_edges.formats.pixels import upright_size
from trace_edges.formats.truth import Finding
from trace_edges.formats.values import SHARE
from trace_edges.results import InstanceMasks

CONFIG, LABELS = "data.yaml", "labels"

# A vertex is pixel i as (i + 0.499) / side: some readers cut the product with the side to an
# integer and others round it, and both then find i. Ultralytics puts points between the vertices
# before it cuts. So a vertex is almost at the centre of its pixel: halfway along a diagonal both
# coordinates then go on to the next pixel at once, and no pixel beside the path is found.
_WITHIN = 0.499
_DIGITS = 7  # after the point: up to 10,000 px, in float32 too, errors are less than 0.001 px
_CLASSES = 100_000


def export_yolo(
    masks: OneOrMany[InstanceMasks], folder: str | PathLike[str], *, category: str = "object"
) -> None:
    """Write FOLDER/labels/NAME.txt for every image name and FOLDER/data.yaml; photographs go into
    FOLDER/images.

    YOLO has one closed polygon per instance. Its vertices are the outermost pixels of the mask.
    Parts and holes are joined to one path by straight bridges that are walked there and back, so
    an instance stays one line and holes stay open for a reader that fills by the even-odd rule.
    What is lost: a bridge between two parts is read as a line one pixel wide; scores; and whatever
    a reader that thins out vertices drops. An image without instances has an empty file.

    Args:
        masks: one result, several, or a mapping by image name, without a suffix, of which one is
            taken after the other; the images of a list are called 000001, 000002, ...
        folder: of the data set.
        category: name of the class 0, of masks whose class is not known. Other classes follow in
            the order in which they come.

    Raises:
        OSError: a file cannot be written.
        ValueError: a name leads out of the folder of results.
    """
    images, categories = given(masks, category)
    write_yolo(images, Writing(Path(folder), categories))


def write_yolo(images: Iterable[Labelled], writing: Writing) -> list[Path]:
    """Write OUT/labels/NAME.txt for every image and OUT/data.yaml, as `export_yolo` does, with the
    classes numbered in their order.
    """
    places: dict[int, int] = {}
    names: list[str] = []

    def number() -> None:
        for one in writing.categories():  # those of this image among them
            if places.setdefault(one.id, len(places)) == len(names):
                names.append(one.name)

    for image in images:
        number()
        lines = []
        for crop, window, _, mark in image:
            path = polygon(crop)
            filled, corner = filled_path(path, crop.shape)
            if corner != (0, 0) or not np.array_equal(filled, crop):
                writing.lost["masks whose parts are joined by lines one pixel wide"] += 1
            path += np.array([window[1].start, window[0].start])
            shares = ((path + _WITHIN) / image.masks.shape[::-1]).ravel()
            values = " ".join(f"{share:.{_DIGITS}f}" for share in shares)
            lines.append(f"{places[mark.category.id]} {values}\n")
        write_text("".join(lines), writing.out / LABELS / f"{bare(image.name)}.txt")
    number()
    listed = json.dumps(names)  # JSON is YAML
    write_text(f"train: images\nval: images\nnames: {listed}\n", writing.out / CONFIG)
    return [writing.out]


def read_yolo(path: Path, reading: Reading) -> LabelledSet:
    """The polygons of every image of a data set; classes are numbered from 1, in YOLO from 0.

    The size of an image is that of its photograph, in the folder given or in `images` beside
    `labels`.
    """
    categories = Categories()
    listed = [categories(n + 1, name) for n, name in enumerate(_class_names(path / CONFIG))]
    return LabelledSet(listed, _images(path, reading, categories))


def _class_names(path: Path) -> list[str]:
    """The names in a data.yaml, a list or a mapping from numbers, in lines or in brackets."""
    if not path.is_file():
        return []
    yaml = require("yaml", "export")
    text = read_text(path)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: of numbers, dates
        raise FileError(path, "is not YAML", "write it again") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(
        type(number) is int and 0 <= number < _CLASSES and type(name) in (str, int)
        for number, name in names.items()
    ):
        raise FileError(path, "has no 'names' of classes", "list them as YOLO does")
    return [str(names.get(number, number)) for number in range(max(names, default=-1) + 1)]


def _images(path: Path, reading: Reading, categories: Categories) -> Iterator[Labelled | Finding]:
    root = path / LABELS if (path / LABELS).is_dir() else path
    photographs = dict(reading.photographs)
    if not photographs and path.is_dir():  # images/train/a and train/images/a are both usual
        photographs = {_beside(name, "images"): one for name, one in photographs_in(path).items()}
    for file in list_files(root, (".txt",), recursive=True):
        name = _beside(file.relative_to(root).with_suffix("").as_posix(), LABELS)
        if name.rpartition("/")[2] in ("classes", "train", "val", "test"):
            continue
        try:
            if name not in photographs:
                raise FileError(file, "has no photograph, which gives the size of the image",
                                "give the folder of the photographs with --images")  # fmt: skip
            size = upright_size(photographs[name])
            lines = read_text(file).splitlines()
        except (ValueError, OSError) as error:
            yield finding_of(error, file)
            continue
        masks = MaskList(size)
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    _add(line.split(), masks, categories)
            except ValueError as error:
                yield finding_of(error, f"{file}: line {number}")
        yield masks.labelled(name, photographs[name].name if "/" not in name else
                             f"{name.rpartition('/')[0]}/{photographs[name].name}")  # fmt: skip


def _beside(name: str, folder: str) -> str:
    """A path without the last folder of this name: as Ultralytics finds labels beside images."""
    *parts, last = name.split("/")
    if folder in parts:
        del parts[len(parts) - 1 - parts[::-1].index(folder)]
    return "/".join([*parts, last])


def _add(values: list[str], masks: MaskList, categories: Categories) -> None:
    """A line: the class, x and y of every point as shares of the sides, at times the score."""
    if not re.fullmatch(r"\d{1,6}", values[0]):
        raise ValueError("does not begin with the number of a class")
    if len(values) < 7:
        raise ValueError("has a box and no polygon")
    score = 1.0
    if len(values) % 2 == 0:
        score = SHARE.validate_python(float(values.pop()))
    path = np.floor(checked_points(values[1:]) * masks.size[::-1]).astype(np.int64)
    path -= path == masks.size[::-1]  # 1 is the side itself
    number = int(values[0])
    mask, corner = filled_path(path, masks.size)
    masks.add(mask, corner, score, Mark(categories(number + 1, f"class {number}")))
