"""Tables of classes for `panoptic --categories`: a list, or any COCO JSON that has it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .harness import Case, check, shared_out
from .jsons import ALL, SHAPES, VALUES, broken_files, changed

COMMAND = ("panoptic", "semantic", "edges", "--categories", "it.json", "--out", "out")
OK: list[Any] = [
    {"id": 1, "name": "one", "isthing": 1},
    {"id": 0, "name": "background", "isthing": 0},
]
WRONG = {
    "id": ALL,  # the map has class 1
    "isthing": ALL - {"true"},
    "name": SHAPES | {"missing", "null", "true"},
}


def made(write: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        classes, line = np.zeros((2, 24, 24), dtype=np.uint8)
        classes[4:20, 4:20] = 1
        line[:, 12] = 255
        for name, values in (("semantic", classes), ("edges", line)):
            (folder / name).mkdir()
            Image.fromarray(values).save(folder / name / "a.png")
        write(folder / "it.json")

    return make


def case(kind: str, content: Any, names: tuple[str, ...], code: int, form: str) -> Case:
    text = json.dumps(content)
    done = ("out/panoptic.json",) if not code else ()
    make = made(lambda path: path.write_text(text, encoding="utf-8"))
    return Case(kind, make, COMMAND, names, code, done, name=form)


def wrong_values() -> Iterator[Case]:
    for key, wrong in WRONG.items():
        for value in VALUES:
            entries = changed(OK, (0, key), VALUES[value])
            bad = value in wrong
            names = ("it.json", "categories[0]", key) if bad else ()
            if key == "id" and value in ("number as text", "a thousand million"):
                names = ("class 1",)  # the table is right, and not for this map
            for form, content in (("list", entries), ("object", {"categories": entries})):
                yield case(f"{key} {value}", content, names, int(bad), form)


def wrong_tables() -> Iterator[Case]:
    contents: dict[str, Any] = {
        "no class": [],
        "two classes of one id": [*OK, OK[0]],
        "a class of the number of void": [*OK, OK[0] | {"id": 255}],
        "entries that are no objects": [*OK, None, 3, "x", []],
        "an object without categories": {"classes": OK},
        "categories by name": {"categories": {"one": OK[0]}},
        "names only": ["background", "one"],
        "COCO's categories without isthing": [{"id": 1, "name": "one", "supercategory": "x"}],
    }
    for value, one in VALUES.items():
        if value != "missing":
            contents[f"categories {value}"] = {"categories": one}
            contents[f"an entry {value}"] = [*OK, one]
    for kind, content in contents.items():
        yield case(kind, content, ("it.json",), 1, "")
    flags = [OK[0] | {"isthing": "1"}, OK[1] | {"isthing": "0"}]
    yield case("flags as text", flags, (), 0, "")
    yield case("ids as text", [OK[0] | {"id": "1"}, OK[1]], (), 0, "")


def wrong_files() -> Iterator[Case]:
    for kind, write in broken_files(json.dumps(OK)):
        yield Case(kind, made(write), COMMAND, ("it.json",))


CASES = [*wrong_values(), *wrong_tables(), *wrong_files()]


@pytest.mark.parametrize("case", shared_out(CASES, every=5, short=45))
def test_every_fifth_case(case: Case, tmp_path: Path) -> None:
    """All of them are `python -m tests.corpus categories`."""
    check(case, tmp_path)


def test_there_are_enough_kinds() -> None:
    assert len({one.kind for one in CASES}) >= 100
