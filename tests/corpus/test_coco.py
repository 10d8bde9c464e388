"""COCO's instances: as masks for `refine`, as truth and as predictions of `evaluate`, checked."""

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
SQUARE = [[4, 4, 20, 4, 20, 20, 4, 20]]
RLE = {"size": [SIDE, SIDE], "counts": [100, 16, 8, 16, 8, 16, 8, 16, 388]}
COMMANDS = {
    "refine": ("refine", "it.json", "edges", "--out", "out.json"),
    "truth": ("evaluate", "masks", "ok.json", "it.json", "--score", "constant"),
    "predictions": ("evaluate", "masks", "it.json", "ok.json", "--score", "constant"),
    "edges": ("evaluate", "edges", "edges", "it.json", "--thresholds", "3", "--workers", "1"),
    "check": ("evaluate", "check", "it.json"),
}
READERS = frozenset(COMMANDS)
CLASSLESS = frozenset({"truth", "predictions", "edges"})


def annotation(number: int, segmentation: Any) -> dict[str, Any]:
    return {
        "id": number, "image_id": number, "category_id": 1, "segmentation": segmentation,
        "area": 256, "bbox": [4, 4, 16, 16], "iscrowd": 0, "score": 0.5,
    }  # fmt: skip


OK: dict[str, Any] = {
    "images": [
        {"id": number, "file_name": f"{name}.jpg", "height": SIDE, "width": SIDE}
        for number, name in enumerate("abc", 1)
    ],
    "annotations": [annotation(1, SQUARE), annotation(2, RLE), annotation(3, SQUARE)],
    "categories": [{"id": 1, "name": "one"}],
}


def made(write: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "edges").mkdir()
        line = np.zeros((SIDE, SIDE), dtype=np.uint8)
        line[:, 12] = 255
        for name in "abc":
            Image.fromarray(line).save(folder / "edges" / f"{name}.png")
        (folder / "ok.json").write_text(json.dumps(OK), encoding="utf-8")
        write(folder / "it.json")

    return make


def case(kind: str, reader: str, content: Any, names: tuple[str, ...], code: int = 1) -> Case:
    text = json.dumps(content)
    command = COMMANDS[reader]
    done: tuple[str, ...] = ()
    if reader == "refine" and (code == 0 or names[1:2]):
        done = ("out.json",)
    if reader == "check":
        names = ()  # what it finds is its result, on standard output
    return Case(
        kind,
        made(lambda path: path.write_text(text, encoding="utf-8")),
        command,
        names,
        code,
        done,
        name=reader,
    )


# Of every key, the values that a reader must name; what is not here is right for it.
WRONG: list[tuple[tuple[str | int, ...], frozenset[str], frozenset[str]]] = [
    (("annotations", 0, "segmentation"), READERS, ALL),
    (("annotations", 1, "segmentation", "size"), READERS, ALL),
    (("annotations", 1, "segmentation", "counts"), READERS, ALL),
    (("annotations", 0, "image_id"), READERS, ALL),
    (("annotations", 0, "category_id"), frozenset({"refine"}), NO_ID - {"missing"}),
    (("annotations", 0, "category_id"), frozenset({"check"}), ALL),
    (("annotations", 0, "id"), READERS - {"check"}, NO_ID - {"missing", "null"}),
    (("annotations", 0, "id"), frozenset({"check"}), NO_ID),
    (
        ("annotations", 0, "iscrowd"),
        READERS,
        ALL - {"missing", "null", "true"},
    ),
    (("annotations", 0, "area"), READERS, NO_NUMBER | {"negative", "1e300"}),
    (("annotations", 0, "score"), READERS - {"refine"}, NO_NUMBER),
    (
        ("annotations", 0, "score"),
        frozenset({"refine"}),
        NO_NUMBER | {"negative", "fraction", "1e300", "a thousand million"},
    ),
    (("annotations", 0, "bbox"), frozenset({"check"}), ALL - {"missing", "null"}),
    (("images", 0, "id"), READERS, ALL),
    (
        ("images", 0, "file_name"),
        READERS - {"refine"},
        ALL - {"text", "number as text", "missing", "null"},
    ),
    (("images", 0, "file_name"), frozenset({"edges", "check"}), frozenset({"missing", "null"})),
    # An image without edges fails: of what it is called now, there are none.
    (("images", 0, "file_name"), frozenset({"refine"}), ALL),
    (("images", 0, "file_name"), CLASSLESS, frozenset({"text", "number as text"})),
    (("images", 0, "height"), READERS, ALL - {"number as text", "missing", "null"}),
    (("images", 0, "height"), READERS - {"predictions"}, frozenset({"missing", "null"})),
    (("images",), READERS - {"predictions"}, ALL),  # a results list has none, and then no polygons
    (("images",), frozenset({"predictions"}), ALL - {"missing"}),
    (("annotations",), READERS, ALL),
    (("categories",), frozenset({"check"}), ALL),
    (("categories", 0, "id"), frozenset({"check"}), ALL),
    # What nobody reads goes on to the result, which cannot hold these.
    (("categories",), frozenset({"refine"}), frozenset({"NaN", "infinite"})),
    (("categories", 0, "id"), frozenset({"refine"}), frozenset({"NaN", "infinite"})),
    (("annotations", 0, "category_id"), frozenset({"refine"}), frozenset({"NaN", "infinite"})),
]  # fmt: skip


def wrong_values() -> Iterator[Case]:
    for place in dict.fromkeys(place for place, _, _ in WRONG):
        for value in VALUES:
            content = changed(OK, place, VALUES[value])
            for reader in COMMANDS:
                bad = any(p == place and reader in r and value in v for p, r, v in WRONG)
                kind = f"{'.'.join(map(str, place))} {value}"
                names = ("it.json",) if bad else ()
                if bad and place[-1] in ("segmentation", "size", "counts", "score", "area"):
                    names = ("it.json", f"annotations[{place[1]}]", str(place[-1]))
                if place[-1] == "file_name" and (
                    reader == "refine" or value in ("text", "number as text")
                ):
                    names = ()  # the other file is named, or the image that nobody knows
                yield case(kind, reader, content, names, int(bad))


def wrong_masks() -> Iterator[Case]:
    far = [[4, 4, 1e8, 4, 20, 20]]
    masks: dict[str, Any] = {
        "no polygon": [],
        "a polygon of two points": [[4, 4, 20, 20]],
        "a polygon of half a point": [[4, 4, 20, 4, 20, 20, 4]],
        "a point beside polygons": [*SQUARE, [4, 4]],
        "a flat polygon": SQUARE[0],
        "pairs of points": [[[4, 4], [20, 4], [20, 20]]],
        "text for numbers": [["4", "4", "20", "4", "20", "20"]],
        "a NaN": [[4, 4, 20, float("nan"), 20, 20]],
        "an infinity": [[4, 4, 20, float("inf"), 20, 20]],
        "far": far,
        "farther": [[4, 4, 1e300, 4, 20, 20]],
        "far to the left": [[4, 4, -1e9, 4, 20, 20]],
        "a zigzag": [[-9e5, 0, 9e5, 1, -9e5, 2, 9e5, 3] * 4],
        "a null among numbers": [[4, 4, None, 4, 20, 20]],
        "a null among polygons": [*SQUARE, None],
        "true among numbers": [[4, 4, True, 4, 20, 20]],
        "RLE of another size": {"size": [SIDE, 10], "counts": [240]},
        "RLE of no size": {"size": [0, 0], "counts": []},
        "RLE of a huge size": {"size": [10**9, 10**9], "counts": [10**18]},
        "RLE of one side": {"size": [SIDE], "counts": [576]},
        "RLE of three sides": {"size": [SIDE, SIDE, 1], "counts": [576]},
        "RLE too short": {"size": [SIDE, SIDE], "counts": [500]},
        "RLE too long": {"size": [SIDE, SIDE], "counts": [600]},
        "RLE with a negative run": {"size": [SIDE, SIDE], "counts": [600, -24]},
        "RLE with a fraction": {"size": [SIDE, SIDE], "counts": [575.5, 0.5]},
        "RLE with huge runs": {"size": [SIDE, SIDE], "counts": [2**62, 2**62, 2**62, 2**62, 576]},
        "RLE with text in its list": {"size": [SIDE, SIDE], "counts": ["576"]},
        "compressed, empty": {"size": [SIDE, SIDE], "counts": ""},
        "compressed, garbage": {"size": [SIDE, SIDE], "counts": "no code"},
        "compressed, cut": {"size": [SIDE, SIDE], "counts": "P"},
        "compressed, endless": {"size": [SIDE, SIDE], "counts": "o" * 5000 + "0"},
        "compressed, huge": {"size": [SIDE, SIDE], "counts": "oooooooooo0"},
        "compressed, no ASCII": {"size": [SIDE, SIDE], "counts": "\u00e9\u2603"},
        "compressed, half a character": {"size": [SIDE, SIDE], "counts": "\ud800"},
    }
    for kind, mask in masks.items():
        content = changed(OK, ("annotations", 0, "segmentation"), mask)
        for reader in COMMANDS:
            yield case(kind, reader, content, ("it.json", "annotations[0] (id 1)"))


def wrong_lists() -> Iterator[Case]:
    images, entries = OK["images"], OK["annotations"]
    contents: dict[str, Any] = {
        "two images of one id": OK | {"images": [*images, images[0] | {"file_name": "d.jpg"}]},
        "two images of one name": OK | {"images": [*images, images[0] | {"id": 9}]},
        "entries that are no objects": OK | {"annotations": [*entries, None, 3, "x", []]},
        "images that are no objects": OK | {"images": [*images, None, 3, "x", []]},
        "an image that is not listed": OK | {"annotations": [*entries, annotation(9, SQUARE)]},
        "all images of 400 million px and more": OK
        | {"images": [image | {"height": 30_000, "width": 20_000} for image in images]},
    }
    for kind, content in contents.items():
        for reader in COMMANDS:
            if kind != "two images of one name" or reader != "truth":  # where ids are enough
                yield case(kind, reader, content, ("it.json",))
    right: dict[str, Any] = {
        "names with backslashes": OK
        | {"images": [image | {"file_name": f"x\\y\\{image['file_name']}"} for image in images]},
        "keys that nobody knows": OK | {"info": None, "licenses": None, "more": [1]},
        "ids as text": changed(OK, ("annotations", 0, "image_id"), "1"),
        "categories as text": changed(OK, ("categories", 0, "id"), "1"),
        "ids with a point": changed(OK, ("annotations", 0, "image_id"), 1.0),
    }  # fmt: skip
    for kind, content in right.items():
        for reader in COMMANDS:
            yield case(kind, reader, content, (), 0)


def wrong_files() -> Iterator[Case]:
    text = json.dumps(OK)
    for kind, write in broken_files(text):
        for reader, command in COMMANDS.items():
            if kind == "a folder" and reader == "refine":
                continue  # of label maps, then
            names = () if reader == "check" else ("it.json",)
            yield Case(kind, made(write), command, names, name=reader)
    for kind, data in {
        "UTF-8 with its mark": text.encode("utf-8-sig"),
        "UTF-16": text.encode("utf-16"),
    }.items():
        for reader, command in COMMANDS.items():
            write_data = made(lambda path, data=data: path.write_bytes(data))
            yield Case(kind, write_data, command, (), 0, name=reader)


CASES = [*wrong_values(), *wrong_masks(), *wrong_lists(), *wrong_files()]


@pytest.mark.parametrize("case", shared_out(CASES, every=18, short=180))
def test_every_eighteenth_case(case: Case, tmp_path: Path) -> None:
    """All of them are `python -m tests.corpus coco`."""
    check(case, tmp_path)


def test_there_are_enough_kinds() -> None:
    assert len({one.kind for one in CASES}) >= 100
    assert SHAPES <= ALL
