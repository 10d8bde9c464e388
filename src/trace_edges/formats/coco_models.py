"""COCO's JSON, instances and panoptic, described once: every key that is read, and its values.

Keys that are not here are passed over. Ids are numbers or text, and the text "7" is the number 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import AfterValidator, Field, PlainValidator, TypeAdapter
from pydantic.dataclasses import dataclass

from trace_edges.formats.entries import entry_name
from trace_edges.formats.rle import Size
from trace_edges.formats.values import (
    MAX_PIXELS,
    Area,
    CategoryId,
    Crowd,
    FileName,
    Flag,
    Key,
    Number,
    SegmentId,
    Share,
    Side,
    Text,
)

CATEGORY = 1  # of every mask: evaluators that find no category 0 in a ground truth score nothing

_FARTHEST = 1_000_000  # px: further out no vertex of a polygon is
_LONGEST_OUTLINE = 2_000_000  # px, of a mask: the rasteriser takes 100 bytes for each


def _points(polygon: list[float]) -> list[float]:
    if len(polygon) < 6 or len(polygon) % 2:
        raise ValueError("should be three points or more, [x, y, x, y, x, y, ...]")
    return polygon


def _outlined(polygons: list[list[float]]) -> list[list[float]]:
    if not polygons:
        raise ValueError("should be one polygon or more")
    length = sum(_outline(polygon) for polygon in polygons)
    if length > _LONGEST_OUTLINE:
        raise ValueError(f"should have an outline of at most {_LONGEST_OUTLINE:,} px")
    return polygons


def _outline(polygon: list[float]) -> float:
    """How long it is at most: few need be measured."""
    longest = (max(polygon) - min(polygon)) * len(polygon)
    if longest <= _LONGEST_OUTLINE / 100:
        return longest
    points = np.reshape(polygon, (-1, 2))  # (n, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())


Coordinate: TypeAlias = Annotated[
    float, Field(strict=True, allow_inf_nan=False, ge=-_FARTHEST, le=_FARTHEST)
]
Polygon: TypeAlias = Annotated[list[Coordinate], Field(fail_fast=True), AfterValidator(_points)]
Polygons: TypeAlias = Annotated[list[Polygon], Field(fail_fast=True), AfterValidator(_outlined)]
RunLength: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=MAX_PIXELS)]
RunLengths: TypeAlias = Annotated[list[RunLength], Field(fail_fast=True)]


def _counts(value: Any) -> Any:
    return value if isinstance(value, str | bytes) else _RUNS.validate_python(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A mask as run lengths down the columns: a list of them, or compressed to text."""

    size: tuple[Side, Side]
    counts: Annotated[Any, PlainValidator(_counts)]


def _segmentation(value: Any) -> Any:
    """The value as it was given, and not copied: data sets have tens of millions of vertices."""
    if isinstance(value, Mapping):
        _ENCODED.validate_python(value)
    elif isinstance(value, list):
        _POLYGONS.validate_python(value)
    else:
        raise ValueError("should be a list of polygons, or an object of size and counts")
    return value


_RUNS: TypeAdapter[list[int]] = TypeAdapter(RunLengths)
_POLYGONS: TypeAdapter[list[list[float]]] = TypeAdapter(Polygons)
_ENCODED = TypeAdapter(Encoded)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """An entry of `images` of which the id is enough.

    Attributes:
        place: in the list, from 0.
    """

    place: int
    id: Key
    file_name: FileName | None = None
    height: Side | None = None
    width: Side | None = None

    def __post_init__(self) -> None:
        if (self.height or 0) * (self.width or 0) > MAX_PIXELS:
            raise ValueError(f"is {self.width} x {self.height} px, and should have at "
                             f"most {MAX_PIXELS:,} pixels")  # fmt: skip

    @property
    def size(self) -> Size:
        """(height, width); 0 where the file gives none."""
        return self.height or 0, self.width or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedImage(ListedImage):
    """An entry of `images` with the size that its masks have."""

    height: Side
    width: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage(ListedImage):
    """An entry of `images` with the file that it stands for."""

    file_name: FileName


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueImage(SizedImage):
    """An entry of `images` with file and size, as ground truth has them."""

    file_name: FileName


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """An annotation, or an entry of a results list, whatever its category.

    Attributes:
        place: in the list, from 0.
        segmentation: as it is in the file: polygons, or a mapping of `size` and `counts`.
    """

    place: int
    id: Key | None = None
    image_id: Key
    segmentation: Annotated[Any, PlainValidator(_segmentation)]
    iscrowd: Crowd = False
    area: Area | None = None
    score: Number | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return entry_name("annotations", self.place, self.id)

    @property
    def encoded(self) -> Size | None:
        """(height, width) of its RLE; None of polygons."""
        if not isinstance(self.segmentation, Mapping):
            return None
        height, width = self.segmentation["size"]
        return int(height), int(width)


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryMask(Mask):
    """An annotation whose category goes on to a result; without one it is of `CATEGORY`."""

    category_id: Key = CATEGORY
    score: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation(Mask):
    """An annotation with all that COCO's format asks for."""

    id: Key
    category_id: Key
    bbox: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticAnnotation:
    """The segments of one image; each is a `PanopticSegment`."""

    place: int
    image_id: Key
    file_name: FileName
    segments_info: list[Any]

    @property
    def name(self) -> str:
        """What messages call it."""
        return entry_name("annotations", self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticSegment:
    """An entry of `segments_info`."""

    place: int
    id: SegmentId
    category_id: CategoryId
    iscrowd: Crowd = False
    area: Area | None = None
    bbox: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCategory:
    """An entry of `categories` of which the id is enough."""

    place: int
    id: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledCategory(ListedCategory):
    """An entry of `categories` whose name goes on to a result."""

    name: Text = ""
    isthing: Flag = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticCategory:
    """An entry of `categories` that says whether its segments are things."""

    place: int
    id: CategoryId
    name: Text = ""
    isthing: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCategory(PanopticCategory):
    """An entry of a table of classes."""

    name: Text


LISTED_IMAGE = TypeAdapter(ListedImage)
SIZED_IMAGE = TypeAdapter(SizedImage)
NAMED_IMAGE = TypeAdapter(NamedImage)
TRUE_IMAGE = TypeAdapter(TrueImage)
MASK = TypeAdapter(Mask)
CATEGORY_MASK = TypeAdapter(CategoryMask)
ANNOTATION = TypeAdapter(Annotation)
PANOPTIC_ANNOTATION = TypeAdapter(PanopticAnnotation)
PANOPTIC_SEGMENT = TypeAdapter(PanopticSegment)
LISTED_CATEGORY = TypeAdapter(ListedCategory)
CALLED_CATEGORY = TypeAdapter(CalledCategory)
PANOPTIC_CATEGORY = TypeAdapter(PanopticCategory)
NAMED_CATEGORY = TypeAdapter(NamedCategory)
