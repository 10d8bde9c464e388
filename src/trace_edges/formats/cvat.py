"""Masks as CVAT has them: its XML "CVAT for images 1.1", written and read.

The format is described at https://docs.cvat.ai/docs/manual/advanced/xml_format. A mask is the run
lengths of its box, row by row, the first of them outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Bool

from trace_edges.files import write_atomically
from trace_edges.formats.labelled import (
    IMAGE_IDS,
    Categories,
    Labelled,
    LabelledSet,
    Mark,
    MaskList,
    Reading,
    Writing,
    finding_of,
    image_name,
    left_out,
)
from trace_edges.formats.outlines import border_polygons, checked_points, filled_between
from trace_edges.formats.rle import crop_runs, decode_runs
from trace_edges.formats.streams import Ids
from trace_edges.formats.truth import Finding, refusal
from trace_edges.formats.values import KEY, SHARE, is_size
from trace_edges.results import Category

FILE = "annotations.xml"
_CHUNK = 1 << 16
_OTHERS = ("box", "polyline", "points", "cuboid", "ellipse", "skeleton", "tag")
_SCORE, _CROWD = "score", "is_crowd"


def write_cvat(images: Iterable[Labelled], writing: Writing) -> list[Path]:
    """Write OUT/annotations.xml, to upload to a task with the same images as "CVAT 1.1".

    Masks keep holes, parts and overlaps; the order is that of the file. `score` and `is_crowd` are
    attributes, which a label of CVAT keeps if it has attributes of these names.
    """
    path = writing.file(FILE)
    with write_atomically(path) as temporary:
        body = temporary.with_name(f"{temporary.name}.images")
        try:
            with body.open("w", encoding="utf-8", newline="\n") as file:
                count, ids = 0, Ids(writing.lost, IMAGE_IDS, least=0)
                for count, image in enumerate(images, 1):
                    number = ids(count - 1 if image.id is None else image.id)
                    file.writelines(_image(image, number, writing.polygons))
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(_head(writing.categories(), count))
                with body.open(encoding="utf-8", newline="\n") as written:
                    while some := written.read(_CHUNK):
                        file.write(some)
                file.write("</annotations>\n")
        finally:
            body.unlink(missing_ok=True)
    return [path]


def _head(categories: Iterable[Category], count: int) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    yield "  <meta><task><name>trace-edges</name>"
    yield f"<size>{count}</size><mode>annotation</mode><labels>\n"
    for one in categories:
        yield f"    <label><name>{_text(one.name)}</name><type>any</type><attributes>"
        yield _attribute_kind(_SCORE, "text", "") + _attribute_kind(_CROWD, "checkbox", "false")
        yield "</attributes></label>\n"
    yield "  </labels></task></meta>\n"


def _attribute_kind(name: str, kind: str, default: str) -> str:
    return (
        f"<attribute><name>{name}</name><mutable>False</mutable><input_type>{kind}</input_type>"
        f"<default_value>{default}</default_value><values>{default}</values></attribute>"
    )


def _image(image: Labelled, number: int, polygons: bool) -> Iterator[str]:
    height, width = image.masks.shape
    yield f'  <image id="{number}" name={_quoted(image.photograph)} '
    yield f'width="{width}" height="{height}">\n'
    for order, (crop, window, score, mark) in enumerate(image):
        common = f'label={_quoted(mark.category.name)} source="auto" occluded="0" '
        common += f'z_order="{order}"'
        outline = border_polygons(crop, window, (height, width)) if polygons else None
        if outline is not None and len(outline) == 1:
            pairs = zip(outline[0][::2], outline[0][1::2], strict=True)
            element, form = "polygon", f'points="{";".join(f"{x},{y}" for x, y in pairs)}"'
        else:
            (rows, columns), (tall, wide) = window, crop.shape
            element = "mask"
            form = f'rle="{", ".join(map(str, _runs(crop)))}" left="{columns.start}" '
            form += f'top="{rows.start}" width="{wide}" height="{tall}"'
        yield f"    <{element} {common} {form}>"
        yield f'<attribute name="{_SCORE}">{score}</attribute>'
        yield f'<attribute name="{_CROWD}">{str(mark.crowd).lower()}</attribute></{element}>\n'
    yield "  </image>\n"


def _runs(crop: Bool[np.ndarray, "a b"]) -> list[int]:
    """Run lengths row by row, the first outside the mask: those down the columns of its mirror."""
    height, width = crop.shape
    return crop_runs(crop.T, (slice(0, width), slice(0, height)), (width, height)).tolist()


def _text(value: str) -> str:
    return _quoted(value)[1:-1].replace("&quot;", '"')


def _quoted(value: str) -> str:
    """An attribute with its quotes; of characters that XML cannot hold a question mark is left."""
    legal = "".join(c if c >= " " or c in "\t\n\r" else "?" for c in value)
    legal = legal.encode("utf-8", "replace").decode().replace("\ufffe", "?").replace("\uffff", "?")
    escaped = quoteattr(legal, {'"': "&quot;"})
    return escaped


def read_cvat(path: Path, reading: Reading) -> LabelledSet:
    """The masks and polygons of every image of a CVAT XML, in the order of the file.

    Raises:
        OSError: it cannot be read.
    """
    parsing = _Parsing(str(path))
    return LabelledSet(parsing.listed, parsing.images(path))


@dataclass
class _Shape:
    kind: str
    given: Mapping[str, str]
    attributes: dict[str, str] = field(default_factory=dict)


class _Parsing:
    """The elements of the XML as they come, without entities, by which a file could grow or read
    others.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.listed: list[Category] = []
        self._categories = Categories()
        self._ready: list[Labelled | Finding] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._image: Mapping[str, str] = {}
        self._shapes: list[_Shape] = []
        self._attribute = ""

    def images(self, path: Path) -> Iterator[Labelled | Finding]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._entity
        with path.open("rb") as file:
            try:
                last = False
                while not last:
                    some = file.read(_CHUNK)
                    last = not some
                    parser.Parse(some, last)
                    yield from self._ready
                    self._ready.clear()
            except expat.ExpatError as error:
                yield from self._ready
                raise refusal(path, f"is not XML ({error})", "export it again") from error

    def _entity(self, *_: object) -> None:
        raise refusal(self.name, "declares entities, which CVAT does not", "export it again")

    def _start(self, tag: str, given: dict[str, str]) -> None:
        self._path.append(tag)
        self._text.clear()
        if self._path[0] != "annotations":
            raise refusal(self.name, f"is XML of <{self._path[0]}>", "give annotations.xml of CVAT")
        if tag == "track":
            raise refusal(self.name, "has tracks", "export it as CVAT for images 1.1")
        if tag == "image":
            self._image, self._shapes = given, []
        elif tag in ("mask", "polygon", *_OTHERS) and self._path[-2] == "image":
            self._shapes.append(_Shape(tag, given))
        elif tag == "attribute":
            self._attribute = given.get("name", "")

    def _characters(self, text: str) -> None:
        if sum(map(len, self._text)) + len(text) > _CHUNK:
            raise refusal(self.name, "has text of more than 64 kB", "export it again")
        self._text.append(text)

    def _end(self, tag: str) -> None:
        text = "".join(self._text)
        if self._path[-3:] == ["labels", "label", "name"] and text:
            self.listed.append(self._categories(text))
        elif tag == "attribute" and self._shapes and "image" in self._path:
            self._shapes[-1].attributes[self._attribute] = text
        elif tag == "image":
            self._ready += self._read()
        self._path.pop()
        self._text.clear()

    def _read(self) -> Iterator[Labelled | Finding]:
        name = self._image.get("name", "")
        subject = f"{self.name}: image {name}"
        try:
            height, width = (int(self._image[side]) for side in ("height", "width"))
            if not (name and is_size(height, width)):
                raise ValueError("has no name or size")
        except (KeyError, ValueError):
            yield Finding(subject, "has no name or size", "export it again")
            return
        masks = MaskList((height, width))
        passed = 0
        for number, shape in enumerate(self._shapes, 1):
            if shape.kind in _OTHERS:
                passed += shape.kind != "tag"
                continue
            try:
                crop, corner = _READERS[shape.kind](shape.given, (height, width))
                score = SHARE.validate_python(float(shape.attributes.get(_SCORE) or 1))
                crowd = shape.attributes.get(_CROWD) == "true"
                mark = Mark(self._categories(shape.given.get("label") or "object"), crowd)
                masks.add(crop, corner, score, mark)
            except ValueError as error:
                yield finding_of(error, f"{subject}: {shape.kind} {number}")
        if passed:
            yield left_out(subject, f"{passed} shapes")
        id = KEY.validate_python(self._image.get("id", ""))
        yield masks.labelled(image_name(name), name, id if isinstance(id, int) else None)


def _mask(given: Mapping[str, str], size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    try:
        left, top, width, height = (int(given[k]) for k in ("left", "top", "width", "height"))
        runs = np.array(given["rle"].split(","), dtype=np.int64)
    except (KeyError, ValueError, OverflowError) as error:
        raise ValueError("has no run lengths, or no left, top, width and height") from error
    if min(width, height) < 1 or width > 2 * size[1] + 2 or height > 2 * size[0] + 2:
        raise ValueError(f"is {width} x {height} px, and the image {size[1]} x {size[0]}")
    if runs.min() < 0 or runs.max() > width * height or runs.sum() != width * height:
        raise ValueError(f"has run lengths that are not those of {width} x {height} px")
    return decode_runs(runs, (width, height)).T, (top, left)


def _polygon(given: Mapping[str, str], size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    numbers = given.get("points", "").replace(";", ",").split(",")
    return filled_between(checked_points(numbers), size)


_READERS: Mapping[
    str, Callable[[Mapping[str, str], tuple[int, int]], tuple[np.ndarray, tuple[int, int]]]
] = {"mask": _mask, "polygon": _polygon}
