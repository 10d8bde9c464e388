# ruff: noqa: E501  one kind a line
"""Parquet as `annotate` meets it: whatever a file or a cell is like, the sound images are done."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trace_edges.files import InputError
from trace_edges.images import ImageError, load_image
from trace_edges.jobs import open_source
from trace_edges.jobs.manifest import Manifest

from .harness import Case, check
from .packed import png
from .test_tar import OPTIONS

ONE, TWO = png(1), png(2)


def table(
    cells: object, kind: pa.DataType | None = None, column: str = "image", **more: object
) -> bytes:
    """A sound file with a column of these cells."""
    columns = {column: pa.array(cells, kind), **{k: pa.array(v) for k, v in more.items()}}
    return stored(pa.table(columns))


def stored(content: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(content, file, **options)
    return file.getvalue()


SOUND = table([ONE, TWO])
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
DAMAGED, EMPTY, NO_BYTES = "is a damaged Parquet file", "is empty; fill it", "no bytes of an image"
NO_COLUMN, HOLDS = "has no column of bytes", "its column 'image' holds"


@dataclass(frozen=True)
class Kind:
    """A file `data/bad.parquet` beside a sound one with the column image, unless it is `alone`.

    Attributes:
        name: what is wrong.
        content: of the file, or what makes it and others in the folder.
        sound: keys of it that must be done.
        reported: words of every report there must be.
        options: of the command, by the names that `open_source` has for them.
        alone: no sound file beside it.
        refused: words of the one line that stops the job.
    """

    name: str
    content: bytes | Callable[[Path], object]
    sound: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    alone: bool = False
    refused: str = ""

    def make(self, folder: Path) -> None:
        data = folder / "data"
        data.mkdir()
        if not self.alone:
            (data / "sound.parquet").write_bytes(table([png(9)], name=["n"]))
        if callable(self.content):
            self.content(data)
        else:
            (data / "bad.parquet").write_bytes(self.content)


def rows(*numbers: int) -> tuple[str, ...]:
    return tuple(f"bad/{number:08d}" for number in numbers)


def hive(data: Path) -> None:
    for year in (2023, 2024):
        (data / f"year={year}" / "month=1").mkdir(parents=True)
        (data / f"year={year}" / "month=1" / "part-0.parquet").write_bytes(table([ONE]))


def spark(data: Path) -> None:
    hive(data)
    (data / "_SUCCESS").write_bytes(b"")
    (data / "_temporary").mkdir()
    (data / "_temporary" / "x.parquet").write_bytes(b"half")
    (data / ".x.parquet.crc").write_bytes(b"crc")


def beside(data: Path) -> None:
    (data / "images").mkdir()
    (data / "images" / "1.png").write_bytes(ONE)
    cells = [{"bytes": None, "path": "images/1.png"}, {"bytes": None, "path": "no.png"}]
    (data / "bad.parquet").write_bytes(table(cells, STRUCT))


def hub(data: Path) -> None:
    """As a data set of the hub lies on a disk."""
    (data / "README.md").write_text("---", encoding="utf-8")
    (data / "data").mkdir()
    (data / "data" / "train-00000-of-00001.parquet").write_bytes(table([ONE]))


def many(data: Path) -> None:
    for number in range(12):
        (data / f"{number}.parquet").write_bytes(SOUND[: 40 * number])


HIVE = ("year=2023/month=1/part-0/00000000", "year=2024/month=1/part-0/00000000")
END = len(SOUND)
NAMED = (("key_column", "name"),)

KINDS = [
    # Unusual and right.
    Kind("bytes", SOUND, rows(0, 1)),
    Kind("large bytes", table([ONE], pa.large_binary()), rows(0)),
    Kind("fixed bytes", table([ONE], pa.binary(len(ONE))), rows(0)),
    Kind("dictionary", table(pa.array([ONE, ONE]).dictionary_encode()), rows(0, 1)),
    Kind("struct", table([{"bytes": ONE, "path": None}], STRUCT), rows(0)),
    Kind("struct with a path as well", table([{"bytes": ONE, "path": "no.png"}], STRUCT), rows(0)),
    Kind("struct of bytes alone", table([{"bytes": ONE}]), rows(0)),
    Kind("called img", table([ONE], column="img"), rows(0)),
    Kind("called anything", table([ONE], column="x", label=[1]), rows(0)),
    Kind("no rows", table([], pa.binary())),
    Kind("small row groups", stored(pa.table({"image": [ONE] * 5}), row_group_size=2), rows(*range(5))),
    Kind("brotli", stored(pa.table({"image": [ONE]}), compression="brotli"), rows(0)),
    Kind("gzip", stored(pa.table({"image": [ONE]}), compression="gzip"), rows(0)),
    Kind("not compressed", stored(pa.table({"image": [ONE]}), compression="none"), rows(0)),
    Kind("version 1", stored(pa.table({"image": [ONE]}), version="1.0"), rows(0)),
    Kind("pages of version 2", stored(pa.table({"image": [ONE]}), data_page_version="2.0"), rows(0)),
    Kind("names", table([ONE, TWO], name=["a", "b"]), ("bad/a", "bad/b"), (), NAMED),
    Kind("names are numbers", table([ONE, TWO], name=[7, 8]), ("bad/7", "bad/8"), (), NAMED),
    Kind("hive folders", hive, HIVE),
    Kind("as Spark leaves it", spark, HIVE),
    Kind("as the hub has it", hub, ("data/train-00000-of-00001/00000000",), alone=True),
    Kind("path beside it", beside, rows(0), ("no.png",)),
    # Cells.
    Kind("null", table([ONE, None], pa.binary()), rows(0), (EMPTY,)),
    Kind("nulls alone", table([None, None], pa.binary()), (), (EMPTY, EMPTY)),
    Kind("null struct", table([{"bytes": ONE, "path": None}, None], STRUCT), rows(0), (EMPTY,)),
    Kind("struct of nulls", table([{"bytes": None, "path": None}], STRUCT), (), (EMPTY,)),
    Kind("struct with an empty path", table([{"bytes": None, "path": ""}], STRUCT), (), (EMPTY,)),
    Kind("path to nowhere", table([{"bytes": None, "path": "/no/x.png"}], STRUCT), (), ("/no/x.png",)),
    Kind("path to a device", table([{"bytes": None, "path": "/dev/zero"}], STRUCT), (), ("is a pipe or a device",)),
    Kind("path to a folder", table([{"bytes": None, "path": "/"}], STRUCT), (), ("cannot be read",)),
    Kind("path of an unknown kind", table([{"bytes": None, "path": "nowhere://x"}], STRUCT), (), ("nowhere://x",)),
    Kind("path with a zero", table([{"bytes": None, "path": "a\0b"}], STRUCT), (), ("bad.parquet",)),
    Kind("no bytes", table([ONE, b""]), rows(0), ("is empty",)),
    Kind("broken picture", table([ONE, TWO[:60]]), rows(0), ("cannot be decoded",)),
    Kind("text as a picture", table([ONE, b"text" * 9]), rows(0), ("is not a JPEG",)),
    Kind("struct of text", table([{"bytes": "text"}]), (), ("holds text, not the bytes of an image",)),
    Kind("struct of a list", table([{"bytes": [1, 2]}]), (), ("holds a list, not the bytes of an image",)),
    Kind("struct of a struct", table([{"bytes": {"bytes": ONE}}]), (), ("holds a struct, not the bytes of an image",)),
    Kind("struct of numbers", table([{"bytes": 7}]), (), ("holds a number, not the bytes of an image",)),
    # Columns.
    Kind("lists of images", table([[ONE, TWO]]), (), (NO_COLUMN,)),
    Kind("lists of images, named", table([[ONE, TWO]]), (), ("holds lists of images",), (("column", "image"),)),
    Kind("lists of structs", table([[{"bytes": ONE}]]), (), ("(lists of images)",)),
    Kind("large lists", table([[ONE]], pa.large_list(pa.binary())), (), ("(lists of images)",)),
    Kind("fixed lists", table([[ONE]], pa.list_(pa.binary(), 1)), (), ("(lists of images)",)),
    Kind("lists of numbers", table([[1, 2]]), (), ("(lists)",)),
    Kind("text", table(["a.png"]), (), ("image (string)",)),
    Kind("text, named", table(["a.png"]), (), ("holds string",), (("column", "image"),)),
    Kind("numbers", table([1, 2]), (), ("image (int64)",)),
    Kind("map", table([[("a", ONE)]], pa.map_(pa.string(), pa.binary())), (), (NO_COLUMN,)),
    Kind("nested deep", table([{"sample": {"image": {"bytes": ONE}}}]), (), (NO_COLUMN,)),
    Kind("struct without bytes", table([{"path": "a.png"}]), (), (NO_COLUMN,)),
    Kind("nulls without a kind", table([None], pa.null()), (), (NO_COLUMN,)),
    Kind("no columns", stored(pa.table({})), (), (NO_COLUMN,)),
    Kind("two that may be it", table([ONE], column="a", b=[TWO]), (), ("a, b; choose one with --column",)),
    Kind("another column", table([ONE], column="x"), (), ("no column 'image'; it has x",), (("column", "image"),)),
    Kind("no column of names", table([ONE]), (), ("no column 'name'; it has image",), NAMED),
    Kind("wrong column in all", SOUND, (), (), (("column", "no"),), refused="no column 'no'; it has image"),
    Kind("no names in all", SOUND, (), (), (("key_column", "no"),), refused="no column 'no'"),
    # Names.
    Kind("name twice", table([ONE, TWO], name=["a", "a"]), ("bad/a",), ("another input is called",), NAMED),
    Kind("name of null", table([ONE, TWO], name=["a", None]), ("bad/a", "bad/None"), (), NAMED),
    Kind("name leads out", table([ONE, TWO], name=["a", "../../x"]), ("bad/a",), ("rename it",), NAMED),
    Kind("name absolute", table([ONE, TWO], name=["a", "/etc/x"]), ("bad/a",), ("rename it",), NAMED),
    Kind("name too long", table([ONE, TWO], name=["a", "x" * 300]), ("bad/a",), ("rename it",), NAMED),
    Kind("name of nothing", table([ONE, TWO], name=["a", ""]), ("bad/a",), ("rename it",), NAMED),
    Kind("name with a zero", table([ONE, TWO], name=["a", "b\0c"]), ("bad/a",), ("rename it",), NAMED),
    # No Parquet.
    Kind("no bytes at all", b"", (), (DAMAGED,)),
    Kind("just the magic", b"PAR1PAR1", (), (DAMAGED,)),
    Kind("text file", b"image,label\n" * 9, (), (DAMAGED,)),
    Kind("page of a server", b"<!DOCTYPE html>" * 40, (), (DAMAGED,)),
    Kind("pointer of git lfs", b"version https://git-lfs.github.com/spec/v1\n", (), (DAMAGED,)),
    Kind("zip", b"PK\x03\x04" + bytes(300), (), (DAMAGED,)),
    Kind("picture", ONE, (), (DAMAGED,)),
    Kind("arrow file", b"ARROW1\0\0" + bytes(300) + b"ARROW1", (), (DAMAGED,)),
    Kind("encrypted", SOUND[:-4] + b"PARE", (), (DAMAGED,)),
    *(
        Kind(f"cut to {share} %", SOUND[: END * share // 100], (), (DAMAGED,))
        for share in (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
    ),
    Kind("first bytes lost", SOUND[4:], (), ("cannot be read", "cannot be read")),
    Kind("footer length of nothing", SOUND[:-8] + bytes(4) + b"PAR1", (), (DAMAGED,)),
    Kind("footer length too large", SOUND[:-8] + b"\xff\xff\xff\x7f" + b"PAR1", (), (DAMAGED,)),
    Kind("footer length below 0", SOUND[:-8] + b"\xff\xff\xff\xff" + b"PAR1", (), (DAMAGED,)),
    Kind("footer of zeros", SOUND[:-108] + bytes(100) + SOUND[-8:], (), (DAMAGED,)),
    Kind("damaged pages", SOUND[:4] + b"\xff" * 60 + SOUND[64:], (), ("cannot be read", "cannot be read")),
    Kind("a folder", lambda data: (data / "bad.parquet").mkdir()),
    # Of all files.
    Kind("all damaged", SOUND[:50], alone=True, refused=DAMAGED),
    Kind("many damaged", many, alone=True, refused="(and 11 more files)"),
    Kind("many damaged beside a sound one", many, (), (DAMAGED,) * 12),
    Kind("nulls in all", table([None], pa.null()), alone=True, refused=NO_COLUMN),
    Kind("lists in all", table([[ONE]]), alone=True, refused="lists of images"),
]  # fmt: skip


def outcome(kind: Kind, folder: Path) -> tuple[set[str], list[str]]:
    """The keys that can be read, and why the others cannot."""
    sound, reasons = set(), []
    source = open_source(str(folder / "data"), **dict(kind.options))
    with Manifest(folder / "state" / "manifest.sqlite", {}) as manifest:
        manifest.register(source.entries(), 1)
        for (item,) in manifest.stretches(1, whole=False):
            try:
                load_image(item.place.read())
                sound.add(item.key)
            except ImageError as error:
                reasons.append(str(error).replace("the image", item.name, 1))
            except OSError as error:
                reasons.append(f"{item.name}: cannot be read ({error})")
    return sound, reasons


def expected(kind: Kind) -> set[str]:
    name = "n" if dict(kind.options).get("key_column") == "name" else "00000000"
    return {*kind.sound, *(() if kind.alone else (f"sound/{name}",))}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "_"))
def test_what_is_sound_is_read_and_the_rest_named(kind, tmp_path):
    kind.make(tmp_path)
    if kind.refused:
        with pytest.raises(InputError) as caught:
            outcome(kind, tmp_path)
        assert kind.refused in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        return
    sound, reasons = outcome(kind, tmp_path)
    assert sound == expected(kind)
    assert len(reasons) == len(kind.reported), reasons
    for words in kind.reported:
        found = next(reason for reason in reasons if words in reason)
        reasons.remove(found)
        assert len(found.splitlines()) == 1
        assert len(found) < 600


def case(kind: Kind) -> Case:
    """As the command should end with it."""
    names = (kind.refused or kind.reported[0],) if kind.refused or kind.reported else ()
    options = [
        word for name, value in kind.options for word in (f"--{name.replace('_', '-')}", value)
    ]
    done = () if kind.refused else tuple(f"out/{key}.edges.png" for key in expected(kind))
    command = ("annotate", "data", "out", *OPTIONS, *options, "--quiet")
    return Case(kind.name, kind.make, command, names, code=int(bool(names)), done=done)


CASES = [case(kind) for kind in KINDS]
SOME = (
    "hive folders",
    "lists of images",
    "cut to 50 %",
    "null",
    "path to a device",
    "many damaged",
)


@pytest.mark.long
@pytest.mark.parametrize("one", [c for c in CASES if c.kind in SOME], ids=str)
def test_the_command_ends_as_it_should(one, tmp_path):
    check(one, tmp_path)
