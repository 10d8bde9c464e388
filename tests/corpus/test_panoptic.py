"""COCO's panoptic JSON and PNGs: as truth and as predictions, for edges, checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .harness import Case, check, shared_out
from .jsons import ALL, NO_ID, NO_NUMBER, SHAPES, VALUES, broken_files, changed

SIDE = 24
COMMANDS = {
    "truth": ("evaluate", "panoptic", "ok.json", "it.json", "--workers", "1"),
    "predictions": ("evaluate", "panoptic", "it.json", "ok.json", "--workers", "1"),
    "edges": ("evaluate", "edges", "edges", "it.json", "--thresholds", "3", "--workers", "1"),
    "check": ("evaluate", "check", "it.json"),
}
READERS = frozenset(COMMANDS)
QUALITY = frozenset({"truth", "predictions"})


def segment(number: int, columns: tuple[int, int]) -> dict[str, Any]:
    start, stop = columns
    return {
        "id": number, "category_id": number, "iscrowd": 0, "area": SIDE * (stop - start),
        "bbox": [start, 0, stop - start, SIDE],
    }  # fmt: skip


OK: dict[str, Any] = {
    "images": [
        {"id": number, "file_name": f"{name}.jpg", "height": SIDE, "width": SIDE}
        for number, name in enumerate("ab", 1)
    ],
    "annotations": [
        {
            "image_id": number,
            "file_name": f"{name}.png",
            "segments_info": [segment(1, (0, 12)), segment(2, (12, SIDE))],
        }
        for number, name in enumerate("ab", 1)
    ],
    "categories": [
        {"id": 1, "name": "one", "isthing": 1},
        {"id": 2, "name": "two", "isthing": 0},
    ],
}


def ids() -> np.ndarray:
    drawn = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    drawn[:, :12, 0], drawn[:, 12:, 0] = 1, 2
    return drawn


def made(write: Callable[[Path], object], spoil: Callable[[Path], object] | None = None) -> Any:
    def make(folder: Path) -> None:
        for pngs in ("ok", "it", "edges"):
            (folder / pngs).mkdir()
        line = np.zeros((SIDE, SIDE), dtype=np.uint8)
        line[:, 12] = 255
        for name in "ab":
            Image.fromarray(line).save(folder / "edges" / f"{name}.png")
            for pngs in ("ok", "it"):
                Image.fromarray(ids()).save(folder / pngs / f"{name}.png")
        (folder / "ok.json").write_text(json.dumps(OK), encoding="utf-8")
        write(folder / "it.json")
        if spoil is not None:
            (folder / "it" / "a.png").unlink()
            spoil(folder / "it" / "a.png")

    return make


def case(kind: str, reader: str, content: Any, names: tuple[str, ...], code: int = 1) -> Case:
    text = json.dumps(content)
    names = () if reader == "check" else names  # what it finds is its result, on standard output
    return Case(
        kind,
        made(lambda path: path.write_text(text, encoding="utf-8")),
        COMMANDS[reader],
        names,
        code,
        name=reader,
    )


NO_NAME = SHAPES | {"true", "null"}
NOT_A_FLAG = ALL - {"true"}
ONLY_CHECKED = frozenset({"check"})
ONLY_EDGES = frozenset({"edges"})
LISTS = frozenset({"edges", "check"})  # readers of `images`
Rule = tuple[tuple[str | int, ...], frozenset[str], frozenset[str]]

# Of every key, the values that a reader must name; what is not here is right for it.
WRONG: list[Rule] = [
    (("annotations", 0, "image_id"), QUALITY | ONLY_CHECKED, ALL),
    (("annotations", 0, "image_id"), ONLY_EDGES, NO_ID),  # its PNG has the name of the image
    (("annotations", 0, "file_name"), READERS, ALL),
    (("annotations", 0, "segments_info"), READERS, ALL),
    (("annotations", 0, "segments_info", 0, "id"), QUALITY | ONLY_CHECKED, ALL),
    (
        ("annotations", 0, "segments_info", 0, "id"),
        ONLY_EDGES,
        ALL - {"number as text"},
    ),
    (("annotations", 0, "segments_info", 0, "category_id"), QUALITY | ONLY_CHECKED, ALL),
    (
        ("annotations", 0, "segments_info", 0, "category_id"),
        ONLY_EDGES,
        ALL - {"number as text", "a thousand million"},
    ),
    (("annotations", 0, "segments_info", 0, "iscrowd"), READERS, ALL - {"missing", "null", "true"}),
    (("annotations", 0, "segments_info", 0, "area"), READERS, NO_NUMBER | {"negative", "1e300"}),
    (("annotations", 0, "segments_info", 0, "bbox"), ONLY_CHECKED, ALL - {"missing", "null"}),
    (("images", 0, "id"), ONLY_CHECKED, ALL),
    (("images", 0, "id"), ONLY_EDGES, NO_ID),
    (("images", 0, "file_name"), ONLY_CHECKED, ALL - {"text", "number as text"}),
    (("images", 0, "file_name"), ONLY_EDGES, ALL),  # there are no edges of other names
    (("images", 0, "height"), ONLY_CHECKED, ALL),
    (("images", 0, "height"), ONLY_EDGES, ALL - {"missing", "null", "number as text"}),
    (("categories", 0, "id"), frozenset({"truth", "check"}), ALL),
    (("categories", 0, "isthing"), frozenset({"truth", "check"}), NOT_A_FLAG),
    (("categories", 0, "name"), frozenset({"truth", "check"}), NO_NAME),
    (("categories",), frozenset({"truth", "check"}), ALL),
    (("images",), ONLY_CHECKED, ALL),
    (("images",), ONLY_EDGES, ALL - {"missing"}),
    (("annotations",), READERS, ALL),
]
# Numbers of images that are right are the size of the picture: 24 as text is.
RIGHT_TOO = {(("images", 0, "height"), "number as text")}


def wrong_values() -> Iterator[Case]:
    for place in dict.fromkeys(place for place, _, _ in WRONG):
        for value in VALUES:
            content = changed(OK, place, VALUES[value])
            for reader in COMMANDS:
                bad = any(p == place and reader in r and value in v for p, r, v in WRONG)
                bad = bad and (place, value) not in RIGHT_TOO
                names = ("it",) if bad else ()
                if reader == "edges" and place[0] == "images" and place[-1] == "file_name":
                    names = ()
                yield case(f"{'.'.join(map(str, place))} {value}", reader, content, names, int(bad))


def wrong_pictures() -> Iterator[Case]:
    grey = ids()[..., 0]
    text = json.dumps(OK)
    pictures: dict[str, tuple[Callable[[Path], object], frozenset[str]]] = {
        "no PNG": (lambda path: None, READERS),
        "an empty PNG": (lambda path: path.write_bytes(b""), READERS),
        "a cut PNG": (lambda path: cut(path), READERS),
        "text for a PNG": (lambda path: path.write_text("x", encoding="utf-8"), READERS),
        "a folder for a PNG": (lambda path: path.mkdir(), READERS),
        "a grey PNG": (lambda path: Image.fromarray(grey).save(path), READERS),
        "a palette PNG": (lambda path: Image.fromarray(grey).convert("P").save(path), READERS),
        "a PNG with alpha": (
            lambda path: Image.fromarray(ids()).convert("RGBA").save(path), READERS,
        ),
        "a PNG of another size": (lambda path: Image.fromarray(ids()[:20]).save(path), READERS),
        "an id that is not listed": (
            lambda path: Image.fromarray(ids() + np.uint8(1)).save(path), READERS - ONLY_EDGES,
        ),
        "an id that is not drawn": (
            lambda path: Image.fromarray(np.minimum(ids(), 1)).save(path), READERS - ONLY_EDGES,
        ),
    }  # fmt: skip
    for kind, (spoil, readers) in pictures.items():
        for reader, command in COMMANDS.items():
            names = ("a",) if reader in readers and reader != "check" else ()
            make = made(lambda path: path.write_text(text, encoding="utf-8"), spoil)
            yield Case(kind, make, command, names, int(reader in readers), name=reader)


def cut(path: Path) -> None:
    Image.fromarray(ids()).save(path)
    path.write_bytes(path.read_bytes()[:60])


def wrong_lists() -> Iterator[Case]:
    first, second = OK["annotations"]
    one, two = first["segments_info"]
    contents: dict[str, tuple[Any, frozenset[str]]] = {
        "an annotation twice": (OK | {"annotations": [first, first, second]}, READERS),
        "entries that are no objects": (OK | {"annotations": [first, second, None, 3]}, READERS),
        "an image without annotation": (OK | {"annotations": [first]}, READERS - ONLY_EDGES),
        "an image too many": (
            OK | {"annotations": [first, second, first | {"image_id": 9}]},
            READERS,
        ),
        "a segment twice": (
            changed(OK, ("annotations", 0, "segments_info"), [one, one, two]),
            READERS - ONLY_EDGES,
        ),
        "a segment that is void": (
            changed(OK, ("annotations", 0, "segments_info"), [one, two, one | {"id": 0}]),
            READERS - ONLY_EDGES,
        ),
        "segments that are no objects": (
            changed(OK, ("annotations", 0, "segments_info"), [one, two, None, "x"]),
            READERS,
        ),
        "a category twice": (
            OK | {"categories": OK["categories"] * 2},
            frozenset({"truth", "check"}),
        ),
        "two images of one id": (OK | {"images": OK["images"] * 2}, LISTS),
        "a PNG out of the folder": (
            changed(OK, ("annotations", 0, "file_name"), "../nowhere/a.png"),
            READERS,
        ),
        "a name of 5,000 letters": (
            changed(OK, ("annotations", 0, "file_name"), "a" * 5000 + ".png"),
            READERS,
        ),
        "a name with a zero byte": (
            changed(OK, ("annotations", 0, "file_name"), "a\0.png"),
            READERS,
        ),
        "half a character in a name": (
            changed(OK, ("annotations", 0, "file_name"), "\ud800.png"),
            READERS,
        ),
        "names with backslashes": (
            changed(OK, ("images", 0, "file_name"), "val\\a.jpg"),
            frozenset(),
        ),
        "ids as text": (changed(OK, ("annotations", 0, "image_id"), "1"), frozenset()),
    }
    for kind, (content, readers) in contents.items():
        for reader in COMMANDS:
            bad = reader in readers
            yield case(kind, reader, content, ("it",) if bad else (), int(bad))


def wrong_files() -> Iterator[Case]:
    text = json.dumps(OK)
    for kind, write in broken_files(text):
        for reader, command in COMMANDS.items():
            if kind == "a folder":
                continue  # of PNGs, or of one JSON
            names = () if reader == "check" else ("it.json",)
            yield Case(kind, made(write), command, names, name=reader)


CASES = [*wrong_values(), *wrong_pictures(), *wrong_lists(), *wrong_files()]


@pytest.mark.parametrize("case", shared_out(CASES, every=18, short=180))
def test_every_eighteenth_case(case: Case, tmp_path: Path) -> None:
    """All of them are `python -m tests.corpus panoptic`."""
    check(case, tmp_path)


def test_there_are_enough_kinds() -> None:
    assert len({one.kind for one in CASES}) >= 100
