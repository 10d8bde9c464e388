"""Values of JSON files, as models of formats are made of: what is taken, and what it becomes."""

from __future__ import annotations

import math
from numbers import Integral, Real
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, TypeAdapter

MAX_PIXELS = 400_000_000  # of an image, as in `trace_edges.images`

_LARGEST_AREA = 1e10  # px: COCO's evaluation passes over what is larger
_LARGEST_ID = 2**31 - 1
LARGEST_SEGMENT = 2**24 - 1  # in the three bytes of a panoptic PNG
_LONGEST_NAME = 255  # bytes of a file or folder


def _key(value: Any) -> int | str:
    if isinstance(value, str):
        digits = value.isascii() and value.isdigit() and len(value) < 19
        return int(value) if digits and str(int(value)) == value else value
    if isinstance(value, bool) or not isinstance(value, float | Integral) or value % 1 != 0:
        raise ValueError("should be a whole number or text")
    return int(value)


def _whole(value: Any) -> int:
    key = _key(value)
    if isinstance(key, str):
        raise ValueError("should be a whole number")
    return key


def _number(value: Any) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        pass
    raise ValueError("should be a finite number")


def _share(value: Any) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("should lie in [0, 1]: scale all scores in the same way")
    return number


def _flag(value: Any) -> bool:
    for known in (False, True):
        if value in (known, str(int(known))):
            return known
    raise ValueError("should be 0 or 1")


def file_name(name: str) -> str:
    """With slashes, whatever system it was written on.

    Raises:
        ValueError: no file can have that name.
    """
    name = name.replace("\\", "/")
    readable = name.encode(errors="ignore").decode() == name and "\0" not in name
    if not readable or PurePosixPath(name).name in ("", ".."):
        raise ValueError("should be the name of a file")
    if max(len(part.encode()) for part in name.split("/")) > _LONGEST_NAME:
        raise ValueError(f"should have no part of more than {_LONGEST_NAME} bytes")
    return name


def is_size(height: Any, width: Any) -> bool:
    """Whether these are the sides of an image that can be read."""
    whole = all(isinstance(side, int) and side > 0 for side in (height, width))
    return whole and height * width <= MAX_PIXELS


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, Real) and not isinstance(value, bool) else value


def _none_is_no(value: Any) -> Any:
    return False if value is None else value


Key: TypeAlias = Annotated[int | str, PlainValidator(_key)]
Number: TypeAlias = Annotated[float, PlainValidator(_number)]
Share: TypeAlias = Annotated[float, PlainValidator(_share)]
Area: TypeAlias = Annotated[float, PlainValidator(_number), Field(ge=0, le=_LARGEST_AREA)]
Flag: TypeAlias = Annotated[bool, PlainValidator(_flag)]
Crowd: TypeAlias = Annotated[Flag, BeforeValidator(_none_is_no)]
FileName: TypeAlias = Annotated[str, AfterValidator(file_name)]
Side: TypeAlias = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MAX_PIXELS)]
CategoryId: TypeAlias = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=_LARGEST_ID)]
SegmentId: TypeAlias = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=LARGEST_SEGMENT)]
Text: TypeAlias = Annotated[str, BeforeValidator(_as_text)]

KEY: TypeAdapter[int | str] = TypeAdapter(Key)
FILE_NAME: TypeAdapter[str] = TypeAdapter(FileName)
BOX: TypeAdapter[tuple[float, float, float, float]] = TypeAdapter(
    tuple[Number, Number, Number, Number]
)
SHARE: TypeAdapter[float] = TypeAdapter(Share)
