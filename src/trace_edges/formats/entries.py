"""Entries of JSON files held against a model: the sound ones go on, the others are said in a line.

A model is a frozen pydantic dataclass; all that this package knows of a format stands there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from trace_edges.formats.truth import Finding, GroundTruthError

T = TypeVar("T")

_LONGEST = 40  # characters of a value that a line shows
_WORDS = {"greater than or equal to": "at least", "less than or equal to": "at most"}


def sound_entries(
    model: TypeAdapter[T], content: Mapping[str, Any], key: str, subject: object
) -> tuple[list[T], list[Finding]]:
    """The entries of a list that the model takes, and what is wrong with the others.

    Args:
        model: gets every entry, and with it as `place` where in the list it stood, from 0.
        content: the JSON object that holds the list.
        key: of the list.
        subject: the file, for the findings.
    """
    entries = content.get(key)
    if not isinstance(entries, list):
        held = f", but {shown(entries)}" if key in content else ""
        return [], [Finding(str(subject), f"has no list {key!r}{held}", f"give {key!r} as a list")]
    sound, findings = [], []
    for place, entry in enumerate(entries):
        given = {**entry, "place": place} if isinstance(entry, Mapping) else entry
        try:
            sound.append(model.validate_python(given))
        except ValidationError as error:
            problem = f"{entry_name(key, place, _id(entry))}{_flaw(error)}"
            findings.append(Finding(str(subject), problem, "mend it or remove the entry"))
    return sound, findings


def entry_name(key: str, place: int, id: object = None) -> str:
    """What lines call an entry: where it stands, and the id that it gives itself."""
    return f"{key}[{place}]" if id is None else f"{key}[{place}] (id {shown(id)})"


def refuse_unsound(findings: Sequence[Finding]) -> None:
    """Refuse a file that is of use as a whole or not at all.

    Raises:
        GroundTruthError: of the first finding, and with how many more there are.
    """
    if not findings:
        return
    first, more = findings[0], len(findings) - 1
    mend = first.mend if not more else f"{first.mend} ({more} more entries are wrong)"
    raise GroundTruthError(Finding(first.subject, first.problem, mend))


def shown(value: object) -> str:
    """A JSON value as a line can show it."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"a list of {len(value)}"
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def finite(value: Any) -> Any:
    """A JSON value with null for numbers that JSON cannot hold: NaN, and infinite ones."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def listed(values: Iterable[object], most: int = 5) -> str:
    """The first few of some ids, and how many more there are."""
    ordered = sorted(values, key=str)
    first = ", ".join(map(str, ordered[:most]))
    return f"{first} and {len(ordered) - most} more" if len(ordered) > most else first


def _id(entry: object) -> object:
    id = entry.get("id") if isinstance(entry, Mapping) else None
    return id if isinstance(id, str | int | float) else None


def _flaw(error: ValidationError) -> str:
    """What is wrong first, as the end of a sentence that begins with the entry."""
    errors = error.errors(include_url=False, include_context=False)
    if absent := [_place(one["loc"]) for one in errors if one["type"] == "missing"]:
        return f" lacks {', '.join(absent)}"
    first = errors[0]
    words = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "dataclass_type":
        words = "should be an object"
    for long, short in _WORDS.items():
        words = words.replace(long, short)
    where = _place(first["loc"])
    if not words.startswith("should"):
        return f" {words}"
    return f"{where and f': {where}'} is {shown(first['input'])}, and {words}"


def _place(location: Sequence[str | int]) -> str:
    """A place in an entry as code has it: segmentation[0][5]."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
