"""Values held against the annotations of a dataclass: types, choices and bounds, said in one line.

A bound stands where the field is declared, as `Annotated[int, Interval(ge=1, le=4096)]`, and
nowhere else: `check_fields` holds it for whoever makes the dataclass, `read_fields` for JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_type_hints

from annotated_types import Interval

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

# Bounds that many settings share.
Side = Annotated[int, Interval(ge=1, le=16384)]  # px
Steps = Annotated[int, Interval(ge=1, le=100_000_000)]
Seed = Annotated[int, Interval(ge=0, le=2**63 - 1)]
Weight = Annotated[float, Interval(ge=0, le=1_000_000)]
Share = Annotated[float, Interval(ge=0, le=1)]

# `__pydantic_config__` of a dataclass that JSON is read to: no other keys, no text for numbers.
STRICT = {"extra": "forbid", "strict": True}

_LONGEST = 40  # characters of a value that a line shows
_WORDS = {"greater than or equal to": "at least", "less than or equal to": "at most"}


def check_fields(settings: Any) -> None:
    """Refuse values that the annotations of a dataclass rule out; for its `__post_init__`.

    Raises:
        ValueError: one line that names the field, its value, and what it should be.
    """
    from pydantic import ValidationError

    kinds: Mapping[str, TypeAdapter[Any]] = _kinds(cast(Any, type(settings)))
    for name, kind in kinds.items():
        try:
            kind.validate_python(getattr(settings, name), strict=True)
        except ValidationError as error:
            raise ValueError(flaw(error, name).lstrip(" :")) from error


def check_within(low: float, high: float, **values: float) -> None:
    """Refuse an argument of a function that lies outside of these ends; NaN does.

    Raises:
        ValueError: one does; the line names it.
    """
    for name, value in values.items():
        if not low <= value <= high:
            raise ValueError(f"{name} must lie in [{low:g}, {high:g}], not {value}")


def read_fields(kind: type[T], content: Any) -> T:
    """A dataclass of what JSON holds.

    Raises:
        ValueError: one line that names the key, its value, and what it should be.
    """
    from pydantic import ValidationError

    try:
        made: T = _adapter(cast(Any, kind)).validate_json(json.dumps(content), strict=True)
        return made
    except ValidationError as error:
        raise ValueError(flaw(error).lstrip(" :")) from error


def flaw(error: ValidationError, field: str = "") -> str:
    """What is wrong first, as the end of a sentence that begins with the entry.

    Args:
        field: whose value it was; empty: the error itself names places.
    """
    errors = error.errors(include_url=False, include_context=False)
    if absent := [_place(one["loc"]) for one in errors if one["type"] == "missing"]:
        return f" lacks {', '.join(absent)}"
    first = errors[0]
    where = _place((field, *first["loc"]) if field else first["loc"])
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f" has {where}, which is unknown"
    words = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] in ("dataclass_type", "dict_type"):
        words = "should be an object"
    words = re.sub(r"^(Tuple|List|Dictionary) (.*) after validation, not .*", r"\2", words)
    for long, short in _WORDS.items():
        words = words.replace(long, short)
    if not words.startswith("should"):
        return f" {words}"
    return f"{where and f': {where}'} is {shown(first['input'])}, and {words}"


def shown(value: object) -> str:
    """A JSON value as a line can show it."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"a list of {len(value)}"
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def printable(text: str) -> str:
    r"""The same without what a terminal would obey: a name may hold \x1b, and is shown with it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _place(location: Sequence[str | int]) -> str:
    """A place in an entry as code has it: segmentation[0][5]."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


@cache
def _kinds(kind: type) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(kind, include_extras=True)
    return {one.name: _adapter(hints[one.name]) for one in fields(kind)}
