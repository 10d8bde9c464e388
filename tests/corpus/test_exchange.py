"""Masks of other tools, for `export`, `report` and `evaluate masks --against`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .exchanged import (
    CVAT,
    DONE,
    EXPORT,
    FORMS,
    Made,
    coco,
    in_folder,
    in_parquet,
    in_tar,
    labelme,
    made,
    panoptic,
    photographs,
    places,
    png,
    record,
    segments,
    task,
    write,
)
from .harness import Case, check, shared_out
from .jsons import MISSING, VALUES, broken_files, changed


def wrong_values() -> Iterator[Case]:
    for form, (sound, put, own) in FORMS.items():
        yield Case(
            form, made(put, sound), (*EXPORT, "png"), (), 0, done=("out/a.png", *DONE), name="ok"
        )
        for place in [(), *places(sound)]:
            for value, wrong in VALUES.items():
                if not place and wrong is MISSING:
                    continue
                content = changed(sound, place, wrong) if place else wrong
                kind = f"{form} {'.'.join(map(str, place))}"
                done = DONE if own(place) else ()
                yield Case(
                    kind, made(put, content), (*EXPORT, "png"), ("it",), 1, True, done, name=value
                )


CVAT_PARTS = {
    "rle": '"1, 14, 1"', "left": 'left="4"', "top": 'top="4"', "mask width": 'width="4"',
    "score": ">0.5<", "points": '"4.0,4.0;20.0,4.0;20.0,20.0"', "name": '"a.png"',
    "image width": 'width="24"',
}  # fmt: skip
TEXTS = {
    "empty": "", "text": "x", "negative": "-1", "fraction": "1.5", "NaN": "NaN", "infinite": "inf",
    "1e300": "1e300", "a thousand million": "1000000000", "many digits": "9" * 5000,
    "a zero byte": "&#0;", "a list": "1,2,3", "far": "1e9,1e9;-1e9,1e9;0,0", "up": "../../x.png",
    "an entity": "&file;", "a bracket": "<", "another alphabet": "\u0664",
}  # fmt: skip


def wrong_xml() -> Iterator[Case]:
    def case(kind: str, name: str, text: str, done: tuple[str, ...] = DONE, code: int = 1) -> Case:
        put = made(lambda folder, text: write(folder / "it/annotations.xml", text), text)
        names = ("it",) if code else ()
        return Case(kind, put, (*EXPORT, "png"), names, code, code == 1, done, name=name)

    yield case("cvat", "ok", CVAT, ("out/a.png", *DONE), 0)
    for part, old in CVAT_PARTS.items():
        new = {name: text if old[0] in '">' else f'{old.partition("=")[0]}="{text}"'
               for name, text in TEXTS.items()}  # fmt: skip
        for name, text in new.items():
            quoted = f"{old[0]}{text}{old[-1]}" if old[0] in '">' else text
            done = () if name in ("a zero byte", "an entity", "a bracket") else DONE
            yield case(f"cvat {part}", name, CVAT.replace(old, quoted, 1), done)
    entity = '<!DOCTYPE a [<!ENTITY file SYSTEM "/etc/passwd">]>'
    bombs = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 9}">' for n in range(1, 30))
    whole = {
        "an entity of a file": CVAT.replace("<annotations>", f"{entity}<annotations>"),
        "a bomb": CVAT.replace("<annotations>", f"<!DOCTYPE a [{bombs}]><annotations>"),
        "tracks": CVAT.replace("image", "track"),
        "of another tool": CVAT.replace("annotations>", "annotation>"),
        "cut": CVAT[: len(CVAT) // 2],
        "deep": "<annotations>" + "<a>" * 100_000,
        "a long name": CVAT.replace("a.png", "a" * 300 + ".png"),
        "two of a name": CVAT.replace("a.png", "b.png"),
        "no shapes": "<annotations></annotations>",
    }
    for name, text in whole.items():
        done = DONE if name in ("a long name", "two of a name") else ()
        yield case("cvat file", name, text, done, int(name != "no shapes"))


def wrong_yolo() -> Iterator[Case]:
    sound = "0 0.2 0.2 0.8 0.2 0.8 0.8\n"
    lines = {
        "text": "x", "a box": "0 0.5 0.5 0.2 0.2", "NaN": "0 nan 0.2 0.8 0.2 0.8 0.8",
        "infinite": "0 inf 0.2 0.8 0.2 0.8 0.8", "far": "0 1e300 0.2 0.8 0.2 0.8 0.8",
        "further than memory": "0 1e5 0.2 -1e5 0.2 0.8 1e5",
        "negative class": "-1 0.2 0.2 0.8 0.2 0.8 0.8",
        "a large class": "9999999 0.2 0.2 0.8 0.2 0.8 0.8", "outside": "0 2 2 3 2 3 3",
        "score of 2": "0 0.2 0.2 0.8 0.2 0.8 0.8 2",
        "NaN as score": "0 0.2 0.2 0.8 0.2 0.8 0.8 nan",
    }  # fmt: skip
    contents = {name: (sound + line).encode() for name, line in lines.items()}
    contents |= {"zero bytes": b"\0" * 100, "no UTF-8": b"\xff\xfe0 1"}
    configs = {
        "no names": "train: x", "a number": "names: 3", "nested": "names: " + "[" * 5000,
        "a date": "names: [2020-13-45]", "an object": "names: !!python/object:os.system {}",
        "far": "names: {999999999: x}", "NaN": "names: {.nan: x}", "null": "", "text": "x",
        "negative": "names: {-1: x}", "true": "names: {true: x}",
        "aliases": "a: &a [x]\nnames: [*a]",
        "names of nulls": "names: [null]", "a number of many digits": f"names: [{'9' * 5000}]",
    }  # fmt: skip

    def data(first: bytes, config: str, first_name: str = "a") -> Made:
        def make(folder: Path) -> None:
            photographs(folder)
            (folder / "it/labels").mkdir(parents=True)
            (folder / f"it/labels/{first_name}.txt").write_bytes(first)
            write(folder / "it/labels/b.txt", sound)
            write(folder / "it/data.yaml", config)

        return make

    command, ok = (*EXPORT, "png"), "names: [one]"
    yield Case(
        "yolo", data(sound.encode(), ok), command, (), 0, done=("out/a.png", *DONE), name="ok"
    )
    for name, content in contents.items():
        yield Case("yolo line", data(content, ok), command, ("a.txt",), done=DONE, name=name)
    for name, config in configs.items():
        yield Case(
            "yolo data.yaml", data(sound.encode(), config), command, ("data.yaml",), name=name
        )
    yield Case(
        "yolo",
        data(sound.encode(), ok, "none"),
        command,
        ("none.txt",),
        done=DONE,
        name="no photograph",
    )


def with_file(put: Callable[[Path], object], place: str) -> Made:
    """Sound COCO masks and photographs, and a file that is not."""

    def make(folder: Path) -> None:
        photographs(folder)
        write(folder / "ok.json", coco())
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        put(folder / place)

    return make


AGAINST = ("evaluate", "masks", "ok.json", "--against", "it.json", "--out", "s.json")
CLASSES = coco()["categories"]


def exporting(source: str, to: str, *more: str) -> tuple[str, ...]:
    return ("export", source, "--json", "--to", to, "--out", "out", *more)


WHOLE: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "coco": ("it.json", coco(), exporting("it.json", "coco")),
    "panoptic": ("it.json", panoptic(), exporting("it.json", "cvat")),
    "label studio": ("it.json", [task("a")], exporting("it.json", "yolo")),
    "labelme": ("it.json", labelme("a"), exporting("it.json", "labelme")),
    "of a given format": ("it.json", [task("a")],
                          exporting("it.json", "png", "--from", "label-studio")),
    "report": ("it.json", coco(), ("report", "it.json", "--images", "photos", "--out", "r.html")),
    "corrected": ("it.json", coco(), AGAINST),
    "pre-labels": ("it.json", coco(), ("evaluate", "masks", "it.json", "--against", "ok.json")),
    "categories": ("it.json", CLASSES, exporting("ok.json", "coco", "--categories", "it.json")),
    "names": ("it.txt", [], exporting("ok.json", "coco", "--categories", "it.txt")),
    "class names": ("it.txt", [], ("segment", "photos", "--class-names", "it.txt", "--out", "out",
                                   "--device", "cpu", "--resolution", "64")),
}  # fmt: skip
# What is no JSON is a list of names, and what is not there is a name.
AS_TEXT = frozenset({
    "cut in the middle", "a bracket too many", "two documents", "deep brackets", "deep document",
    "an endless number", "a key twice", "single quotes", "top is null", "top is number",
    "top is text", "top is true", "top is a list of numbers", "top is a list of nulls",
    "an empty object", "empty file", "only spaces", "zero bytes",
})  # fmt: skip


def wrong_files() -> Iterator[Case]:
    for reader, (place, sound, command) in WHOLE.items():
        for kind, put in broken_files(json.dumps(sound)):
            if place == "it.txt" and kind in AS_TEXT:
                continue
            if reader == "class names" and kind not in ("no UTF-8", "a picture", "gzip"):
                continue
            yield Case(f"{reader}: {kind}", with_file(put, place), command, (place,))


def wrong_values_elsewhere() -> Iterator[Case]:
    """In what `evaluate masks --against`, `report` and `--categories` are given."""
    for place in places(coco()):
        for value, wrong in VALUES.items():
            text = json.dumps(changed(coco(), place, wrong))
            put = with_file(
                lambda path, text=text: path.write_text(text, encoding="utf-8"), "it.json"
            )
            kind = ".".join(map(str, place))
            for reader in ("corrected", "pre-labels", "report"):
                yield Case(
                    f"{reader} {kind}", put, WHOLE[reader][2], ("it.json",), either=True, name=value
                )
    for place in places(coco()["categories"]):
        for value, wrong in VALUES.items():
            text = json.dumps(changed(coco()["categories"], place, wrong))
            put = with_file(
                lambda path, text=text: path.write_text(text, encoding="utf-8"), "it.json"
            )
            kind = f"categories {'.'.join(map(str, place))}"
            yield Case(kind, put, WHOLE["categories"][2], ("it.json",), either=True, name=value)


def packed(damage: Callable[[bytes], bytes], form: str) -> Made:
    def make(folder: Path) -> None:
        photographs(folder)
        put = {"tar": in_tar, "parquet": in_parquet}[form]
        path = folder / f"it/part-000000.{form}"
        put(folder, record("a"), "cd")
        held = path.read_bytes()
        shutil.rmtree(folder / "it")
        put(folder, record("a"))
        (folder / f"it/part-000001.{form}").write_bytes(held)
        path.write_bytes(damage(path.read_bytes()))

    return make


def wrong_parts() -> Iterator[Case]:
    damages: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda data: data[: len(data) // 3],
        "empty": lambda data: b"",
        "garbage": lambda data: bytes(range(256)) * 8,
        "zeros": lambda data: bytes(len(data)),
        "text": lambda data: b"hello",
        "a byte changed": lambda data: data[:600] + bytes([data[600] ^ 255]) + data[601:],
        "an end cut": lambda data: data[:-5],
    }
    for form in ("tar", "parquet"):
        for name, damage in damages.items():
            sound = form == "tar" and name in ("zeros", "an end cut")
            words = ("export", "it", "--to", "png", "--out", "out", "--json")
            done = ("out/c.png", "out/d.png")
            names = () if sound else (f"part-000000.{form}",)
            either = name == "a byte changed"
            yield Case(
                f"damaged {form}",
                packed(damage, form),
                words,
                names,
                int(not sound),
                either,
                done,
                name=name,
            )


def set_of(folder: Path, more: Callable[[Path], object]) -> None:
    photographs(folder)
    write(folder / "ok.json", coco())
    write(folder / "dir/instances.json", coco())
    more(folder)


def wrong_places() -> Iterator[Case]:
    def case(
        kind: str, words: str, names: str, more: Callable[[Path], object] = lambda _: None
    ) -> Case:
        return Case(kind, lambda folder: set_of(folder, more), tuple(words.split()), (names,))

    def user(place: str) -> Callable[[Path], object]:
        return lambda folder: write(folder / place, "mine")

    yield case("output is the input", "export ok.json --json --to coco --out ok.json", "ok.json")
    yield case("output in the input", "export dir --json --to coco --out dir", "dir")
    yield case(
        "output among the images",
        "export ok.json --json --to png --out photos --images photos",
        "photos",
    )
    yield case("output is the input", "report ok.json --images photos --out ok.json", "ok.json")
    yield case(
        "output among the images", "report ok.json --images photos --out photos/r.html", "photos"
    )
    yield case(
        "output is the input",
        "evaluate masks ok.json --against dir/instances.json --out ok.json",
        "ok.json",
    )
    for to, name in (("coco", "instances.json"), ("cvat", "annotations.xml"), ("yolo", "data.yaml"),
                     ("labelme", "labels.txt"), ("label-studio", "tasks.json"), ("png", "a.png"),
                     ("label-studio", "interface.xml"), ("coco-panoptic", "panoptic.json"),
                     ("fiftyone", "labels.json"), ("yolo", "labels/a.txt"), ("labelme", "a.json"),
                     ("coco-panoptic", "panoptic/a.png")):  # fmt: skip
        yield case(
            f"not ours {to}",
            f"export ok.json --json --to {to} --out out",
            name,
            user(f"out/{name}"),
        )
        yield case(
            f"a folder there {to}",
            f"export ok.json --json --to {to} --out out",
            name,
            lambda folder, name=name: (folder / "out" / name).mkdir(parents=True),
        )
        yield case(
            f"a link there {to}",
            f"export ok.json --json --to {to} --out out",
            name,
            lambda folder, name=name: (
                (folder / "out" / name).parent.mkdir(parents=True),
                (folder / "out" / name).symlink_to(folder / "ok.json"),
            ),
        )
    for to in (
        "coco",
        "cvat",
        "yolo",
        "labelme",
        "label-studio",
        "png",
        "coco-panoptic",
        "fiftyone",
    ):
        yield case(
            f"a file as the folder {to}",
            f"export ok.json --json --to {to} --out out",
            "out",
            user("out"),
        )
        yield case(
            f"a pipe as the folder {to}",
            f"export ok.json --json --to {to} --out out",
            "out",
            lambda folder: os.mkfifo(folder / "out"),
        )
    yield case("not ours", "report ok.json --images photos --out r.html", "r.html", user("r.html"))
    yield case(
        "not ours",
        "report ok.json --images photos --out r.html",
        "000000.jpg",
        user("r_files/000/000000.jpg"),
    )
    yield case(
        "a pipe there",
        "report ok.json --images photos --out r.html",
        "r.html",
        lambda folder: os.mkfifo(folder / "r.html"),
    )
    yield case("a folder there", "report ok.json --images photos --out dir", "dir")
    yield case(
        "not ours",
        "evaluate masks ok.json --against dir/instances.json --out s.json",
        "s.json",
        user("s.json"),
    )
    yield case("no images", "report ok.json --images nowhere", "nowhere")
    yield case("images are a file", "report ok.json --images ok.json", "ok.json")
    yield case(
        "images are a file", "export ok.json --json --to yolo --out out --images ok.json", "ok.json"
    )
    yield case("no such format", "export dir --json --from tar --to png --out out", "tar")
    yield case("no results", "export nowhere --json --to png --out out", "nowhere")
    yield case(
        "a broken photograph", "report ok.json --images photos", "a.png", user("photos/a.png")
    )
    yield case(
        "a pipe as report.csv",
        "report dir --images photos",
        "report.csv",
        lambda folder: os.mkfifo(folder / "dir/report.csv"),
    )
    yield case(
        "report.csv of zero bytes",
        "report dir --images photos",
        "report.csv",
        lambda folder: (folder / "dir/report.csv").write_bytes(b"state,key\n\0\0,\xff"),
    )
    yield case(
        "report.csv with a long cell",
        "report dir --images photos",
        "report.csv",
        lambda folder: write(folder / "dir/report.csv", "state,key\n" + "x" * 200_000),
    )
    yield case(
        "a pipe as a map",
        "export it --json --to png --out out",
        "a.panoptic.png",
        lambda folder: (
            in_folder(segments, png("panoptic"))(folder, segments("a")),
            (folder / "it/a.panoptic.png").unlink(),
            os.mkfifo(folder / "it/a.panoptic.png"),
        ),
    )
    yield case(
        "a map that is gone",
        "export it --json --to png --out out",
        "a.panoptic.png",
        lambda folder: (
            in_folder(segments, png("panoptic"))(folder, segments("a")),
            (folder / "it/a.panoptic.png").unlink(),
        ),
    )
    yield case(
        "a record that is cut",
        "export it --json --to png --out out",
        "a.json",
        lambda folder: (
            in_folder(record)(folder, record("a")),
            write(folder / "it/a.json", '{"height": 2'),
        ),
    )
    yield case(
        "a record that is a picture",
        "export it --json --to png --out out",
        "a.json",
        lambda folder: (
            in_folder(record)(folder, record("a")),
            (folder / "it/a.json").write_bytes(b"\x89PNG\r\n\x1a\n"),
        ),
    )


CASES = [*wrong_values(), *wrong_xml(), *wrong_yolo(), *wrong_files(), *wrong_values_elsewhere(),
         *wrong_parts(), *wrong_places()]  # fmt: skip


@pytest.mark.parametrize("case", shared_out(CASES, every=40, short=320))
def test_every_fortieth_case(case: Case, tmp_path: Path) -> None:
    """All of them are `python -m tests.corpus exchange`."""
    check(case, tmp_path)


def test_there_are_enough_kinds() -> None:
    assert len({one.kind for one in CASES}) >= 100
