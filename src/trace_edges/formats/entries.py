"""Entries of JSON files held against a model: the sound ones go on, the others are said in a line.

A model is a frozen pydantic dataclass; all that this package knows of a format stands there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from trace_edges.checks import flaw
from trace_edges.checks import shown as shown
from trace_edges.formats.truth import Finding, GroundTruthError

T = TypeVar("T")


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
            problem = f"{entry_name(key, place, _id(entry))}{flaw(error)}"
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
