# ruff: noqa: E501  one kind a line
"""Tars as `annotate` meets them: whatever one of them is like, the sound images of all are done."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from trace_edges.files import InputError
from trace_edges.images import ImageError, load_image
from trace_edges.jobs import open_source
from trace_edges.jobs.manifest import Manifest

from .harness import Case, check
from .packed import BLOCK, END, header, member, padded, pax, png, tar

OPTIONS = (
    "--task", "edges", "--training-free", "--timestep", "99", "--resolution", "128", "--subcell",
    "1", "--device", "cpu", "--workers", "0",
)  # fmt: skip
ONE, TWO, THREE = (png(number) for number in (1, 2, 3))
GOOD = member("1.png", ONE)
MORE = member("2.png", TWO)


@dataclass(frozen=True)
class Kind:
    """One tar, `bad.tar`, beside a sound one, `sound.tar` with 9.png.

    Attributes:
        name: what is wrong with it.
        content: of the file.
        sound: the samples of it that must be done.
        reported: words of each report that there must be, all that there are.
        file: what it is called.
    """

    name: str
    content: bytes
    sound: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    file: str = "bad.tar"

    def make(self, folder: Path) -> None:
        shards = folder / "shards"
        shards.mkdir()
        (shards / "sound.tar").write_bytes(tar([("9.png", png(9))]))
        (shards / self.file).write_bytes(self.content)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]


def binary(number: int) -> bytes:
    """A size as GNU tar writes what does not fit in octal digits."""
    return (number % (1 << 96) | (0x80 << 88 if number >= 0 else 0xFF << 88)).to_bytes(12, "big")


def holed() -> bytes:
    """A member with a hole, as GNU tar --sparse writes it in its oldest way."""
    block = bytearray(header("2.png", BLOCK, b"S"))
    block[257:265] = b"ustar  \0"
    for place, number in enumerate((0, BLOCK)):
        block[386 + 12 * place : 398 + 12 * place] = f"{number:011o}\0".encode()
    block[483:495] = f"{4 * BLOCK:011o}\0".encode()
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block) + padded(TWO[:BLOCK])


SOUND = tar([("1.png", ONE), ("2.png", TWO)])
DAMAGED, CUT, HEADER = "is a damaged tar", "has no end: it was cut", "has a damaged header at byte"
NAME, LINK, TWICE = "rename it", "is a link to", "another input is called"
NO_FILE, PICTURE = "is a device or a pipe", "cannot be decoded"
FIRST = len(GOOD)  # where the second header begins

KINDS = [
    # Tars that are unusual and right.
    Kind("pax", SOUND, ("1", "2")),
    Kind("gnu", tar([("1.png", ONE), ("a" * 150 + ".png", TWO)], tarfile.GNU_FORMAT), ("1", "a" * 150)),
    Kind("ustar", tar([("1.png", ONE)], tarfile.USTAR_FORMAT), ("1",)),
    Kind("of 1979", member("1.png", ONE, b"\0", magic=bytes(8)) + END, ("1",)),
    Kind("just one block at the end", GOOD + bytes(BLOCK), ("1",)),
    Kind("padded to a megabyte", GOOD + bytes(1 << 20), ("1",)),
    Kind("empty", END),
    Kind("long name by pax", tar([("d/" * 60 + "1.png", ONE)]), ("d/" * 60 + "1",)),
    Kind("name with accents", tar([("é ü.png", ONE)]), ("é ü",)),
    Kind("name with a space and a line break", tar([("a b\nc.png", ONE)]), ("a b\nc",)),
    Kind("dot folder", tar([("./1.png", ONE)]), ("1",)),
    Kind("hidden files", tar([("._1.png", b"x"), (".git/1.png", b"x"), ("1.png", ONE)]), ("1",)),
    Kind("nothing but text", tar([("1.txt", b"x"), ("1.json", b"{}")])),
    Kind("texts beside", tar([("1.png", ONE), ("1.json", b"{}"), ("1.cls", b"3")]), ("1",)),
    Kind("mask beside", tar([("1.jpg", ONE), ("1.seg.png", b"x")]), ("1",)),
    Kind("suffix in capitals", tar([("1.PNG", ONE)]), ("1",)),
    Kind("comment by pax", pax(comment="hello") + GOOD + END, ("1",)),
    Kind("time of nothing", pax(mtime="never") + GOOD + END, ("1",)),
    Kind("global pax header", member("g", b"19 comment=general\n", b"g") + GOOD + END, ("1",)),
    Kind("path by pax", pax(path="x/1.png") + GOOD + END, ("x/1",)),
    Kind("size by pax", pax(size=str(len(ONE))) + header("1.png", 0) + padded(ONE) + END, ("1",)),
    Kind("hard link to one before", GOOD + member("2.png", b"", b"1", link=b"1.png") + END, ("1", "2")),
    Kind("size in binary", member("1.png", ONE, digits=binary(len(ONE))) + END, ("1",)),
    Kind("contiguous", member("1.png", ONE, b"7") + END, ("1",)),
    Kind("kind of nobody", member("1.png", ONE, b"Z") + END, ("1",)),
    # Names.
    Kind("leads out", tar([("../1.png", ONE), ("2.png", TWO)]), ("2",), (NAME,)),
    Kind("leads far out", tar([("../../../etc/1.png", ONE)]), (), (NAME,)),
    Kind("leads out in the middle", tar([("a/../../1.png", ONE), ("2.png", TWO)]), ("2",), (NAME,)),
    Kind("absolute", tar([("/etc/1.png", ONE), ("2.png", TWO)]), ("2",), (NAME,)),
    Kind("two slashes", tar([("a//1.png", ONE), ("2.png", TWO)]), ("2",), (NAME,)),
    Kind("backslash", tar([("a\\1.png", ONE), ("2.png", TWO)]), ("2",), (NAME,)),
    Kind("drive", tar([("C:\\1.png", ONE)]), (), (NAME,)),
    Kind("too long", tar([("a" * 240 + ".png", ONE), ("2.png", TWO)]), ("2",), (NAME,)),
    Kind("far too long", tar([("d/" * 2000 + "1.png", ONE), ("2.png", TWO)]), ("2",), (NAME,)),
    Kind("no UTF-8", member(b"caf\xe9.png", ONE) + MORE + END, ("2",), ("not UTF-8",)),
    Kind("no UTF-8 by pax", pax(path=b"caf\xe9.png") + GOOD + MORE + END, ("2",), ("not UTF-8",)),
    Kind("suffix alone", tar([("d/.png", ONE), ("2.png", TWO)]), ("2",)),
    # Two of a name.
    Kind("twice in a row", tar([("1.png", ONE), ("1.png", TWO)]), ("1",), (TWICE,)),
    Kind("twice apart", tar([("1.png", ONE), ("2.png", TWO), ("1.png", TWO)]), ("1", "2"), (TWICE,)),
    Kind("thrice", tar([("1.png", ONE)] * 3), ("1",), (TWICE, TWICE)),
    Kind("twice by a dot", tar([("1.png", ONE), ("2.png", TWO), ("./1.png", ONE)]), ("1", "2"), (TWICE,)),
    # What is no file.
    Kind("link", GOOD + member("2.png", b"", b"2", link=b"1.png") + END, ("1",), (LINK,)),
    Kind("link out", GOOD + member("2.png", b"", b"2", link=b"/etc/passwd") + END, ("1",), (LINK,)),
    Kind("link to itself", GOOD + member("2.png", b"", b"2", link=b"2.png") + END, ("1",), (LINK,)),
    Kind("hard link to nothing", GOOD + member("2.png", b"", b"1", link=b"no") + END, ("1",), (LINK,)),
    Kind("hard link to itself", GOOD + member("2.png", b"", b"1", link=b"2.png") + END, ("1",), (LINK,)),
    Kind("hard link out", GOOD + member("2.png", b"", b"1", link=b"../x.png") + END, ("1",), (LINK,)),
    Kind("pipe", GOOD + member("2.png", b"", b"6") + END, ("1",), (NO_FILE,)),
    Kind("character device", GOOD + member("2.png", b"", b"3") + END, ("1",), (NO_FILE,)),
    Kind("block device", GOOD + member("2.png", b"", b"4") + END, ("1",), (NO_FILE,)),
    Kind("folder", GOOD + member("2.png", b"", b"5") + END, ("1",)),
    Kind("with a hole", GOOD + holed() + END, ("1",), ("is stored with holes",)),
    # Compressed.
    Kind("gzip", gzip.compress(SOUND), (), ("is compressed; gunzip it",)),
    Kind("gzip by name", gzip.compress(SOUND), (), ("is compressed; gunzip it",), "bad.tar.gz"),
    Kind("tgz", gzip.compress(SOUND), (), ("is compressed; gunzip it",), "bad.tgz"),
    Kind("bzip2", bz2.compress(SOUND), (), ("is compressed; bunzip2 it",)),
    Kind("xz", lzma.compress(SOUND), (), ("is compressed; unxz it",)),
    Kind("zstd", b"\x28\xb5\x2f\xfd" + bytes(99), (), ("is compressed; unzstd it",)),
    # No tar.
    Kind("no bytes", b"", (), (DAMAGED,)),
    Kind("text", b"this is no tar\n" * 99, (), (DAMAGED,)),
    Kind("zip", b"PK\x03\x04" + bytes(range(256)) * 4, (), (DAMAGED,)),
    Kind("picture", ONE + ONE, (), (DAMAGED,)),
    Kind("page of a server", b"<!DOCTYPE html><html>404</html>" * 40, (), (DAMAGED,)),
    Kind("pointer of git lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", (), (DAMAGED,)),
    Kind("half a header", GOOD[:300], (), (DAMAGED,)),
    Kind("one byte", b"a", (), (DAMAGED,)),
    Kind("random bytes", bytes((i * i * 7 + i // 3) % 251 for i in range(5000)), (), (DAMAGED,)),
    # Cut.
    Kind("cut in the second picture", SOUND[: FIRST + BLOCK + 40], ("1",), (DAMAGED, "is cut")),
    Kind("cut in the second header", GOOD + MORE[:100], ("1",), (HEADER,)),
    Kind("cut behind the second header", GOOD + MORE[:BLOCK], ("1",), (DAMAGED, "")),
    Kind("cut between two", GOOD, ("1",), (CUT,)),
    Kind("cut in the only picture", GOOD[: BLOCK + 60], (), (DAMAGED, "is cut")),
    Kind("cut to whole blocks", GOOD[:BLOCK], (), (DAMAGED, "")),
    Kind("header alone", header("1.png", 5000), (), (DAMAGED, "")),
    # Damaged headers.
    Kind("checksum of the first", flipped(GOOD + END, 3), (), (DAMAGED,)),
    Kind("checksum of the second", flipped(GOOD + MORE + END, FIRST + 3), ("1",), (HEADER,)),
    Kind("garbage in the middle", GOOD + b"garbage " * 64 + MORE + END, ("1",), (HEADER,)),
    Kind("checksum of letters", GOOD + member("2.png", TWO, checksum=b"zzzzzzz\0") + END, ("1",), (HEADER,)),
    Kind("size of letters", GOOD + member("2.png", TWO, digits=b"zzzzzzzzzzz\0") + END, ("1",), (HEADER,)),
    Kind("size with a sign", GOOD + member("2.png", TWO, digits=b"-0000000100\0") + END, ("1",), (DAMAGED,)),
    Kind("size below 0", GOOD + member("2.png", TWO, digits=binary(-1024)) + END, ("1",), (DAMAGED,)),
    Kind("size far below 0", GOOD + member("2.png", TWO, digits=binary(-(1 << 80))) + END, ("1",), (DAMAGED,)),
    Kind("size of an exabyte", GOOD + member("2.png", TWO, digits=binary(1 << 60)) + END, ("1",), (DAMAGED, "")),
    Kind("size beyond 64 bits", GOOD + member("2.png", TWO, digits=binary(1 << 90)) + END, ("1",), (HEADER,)),
    Kind("size a block too large", GOOD + header("2.png", 9 * BLOCK) + padded(TWO) + END, ("1",), (DAMAGED, "is cut")),
    Kind("size of 0", GOOD + header("2.png", 0) + END, ("1",), ("is empty",)),
    Kind("size too small", GOOD + header("2.png", 40) + padded(TWO[:40]) + END, ("1",), (PICTURE,)),
    # pax and GNU headers.
    Kind("pax size below 0", GOOD + pax(size="-1024") + MORE + END, ("1",), (DAMAGED,)),
    Kind("pax size of letters", pax(size="many") + header("1.png", 0) + END, (), ("is empty",)),
    Kind("pax size of an exabyte", pax(size=str(1 << 60)) + GOOD + END, (), (DAMAGED, "")),
    Kind("pax without end", header("pax", 1 << 40, b"x", digits=binary(1 << 40)) + END, (), (DAMAGED,)),
    Kind("pax of a gigabyte", GOOD + header("pax", 1 << 30, b"x") + END, ("1",), (DAMAGED,)),
    Kind("pax without a member", GOOD + pax(path="2.png"), ("1",), (DAMAGED,)),
    Kind("pax before the end", GOOD + pax(path="2.png") + END, ("1",), (DAMAGED,)),
    Kind("pax record of length 0", GOOD + member("pax", b"0 path=x\n", b"x") + MORE + END, ("1",), ("",)),
    Kind("pax leads out", pax(path="../1.png") + GOOD + MORE + END, ("2",), (NAME,)),
    Kind("pax name with a zero", pax(path=b"a\0b.png") + GOOD + MORE + END, ("2",), (NAME,)),
    Kind("pax hole", pax(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "3.png",
                            "GNU.sparse.realsize": "9"}) + member("3.png", b"1\n0\n9\n") + MORE + END,
         ("2",), ("is stored with holes",)),
    Kind("pax hole of letters", GOOD + pax(**{"GNU.sparse.map": "a,b"}) + MORE + END, ("1",), (DAMAGED,)),
    Kind("thousands of pax headers", GOOD + pax(comment="x") * 3000 + MORE + END, ("1",), (DAMAGED,)),
    Kind("long name of a gigabyte", GOOD + header("n", 1 << 30, b"L") + END, ("1",), (DAMAGED,)),
    Kind("long name without a member", GOOD + member("n", b"2.png\0", b"L") + END, ("1",), (DAMAGED,)),
    Kind("thousands of long names", GOOD + member("n", b"x\0", b"L") * 3000 + MORE + END, ("1",), (DAMAGED,)),
    # The end.
    Kind("two tars in one", SOUND + tar([("3.png", THREE)]), ("1", "2"), ("goes on after its end",)),
    Kind("text behind the end", SOUND + b"more", ("1", "2"), ("goes on after its end",)),
    # What is in it.
    Kind("broken picture", tar([("1.png", ONE), ("2.png", TWO[:60])]), ("1",), (PICTURE,)),
    Kind("text as a picture", tar([("1.png", ONE), ("2.png", b"text" * 9)]), ("1",), ("is not a JPEG",)),
    Kind("no bytes as a picture", tar([("1.png", ONE), ("2.png", b"")]), ("1",), ("is empty",)),
    Kind("tiny picture", tar([("1.png", ONE), ("2.png", png(1, 15))]), ("1",), ("give at least 16 px",)),
]  # fmt: skip


def outcome(folder: Path) -> tuple[set[str], list[str]]:
    """The keys that can be read, and why the others cannot, as `annotate` would have it."""
    sound, reasons = set(), []
    with Manifest(folder / "state" / "manifest.sqlite", {}) as manifest:
        manifest.register(open_source(str(folder / "shards")).entries(), 1)
        for (item,) in manifest.stretches(1, whole=False):
            try:
                load_image(item.place.read())
                sound.add(item.key)
            except ImageError as error:
                reasons.append(str(error).replace("the image", item.name, 1))
    return sound, reasons


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "_"))
def test_what_is_sound_is_read_and_the_rest_named(kind, tmp_path):
    kind.make(tmp_path)
    sound, reasons = outcome(tmp_path)
    assert sound == {"sound/9", *(f"bad/{one}" for one in kind.sound)}
    assert len(reasons) == len(kind.reported), reasons
    for words in kind.reported:
        found = next(reason for reason in reasons if words in reason)
        reasons.remove(found)
        assert len(found.splitlines()) == 1
        assert len(found) < 600


def case(kind: Kind) -> Case:
    """As the command should end with it."""
    names = kind.reported[:1]
    if kind.reported and kind.reported[0] in (DAMAGED, HEADER, CUT, NAME, LINK, TWICE, NO_FILE):
        names = (kind.file, *names)
    done = tuple(
        f"out/{one}.edges.png" for one in ("sound/9", *(f"bad/{one}" for one in kind.sound))
    )
    command = ("annotate", "shards", "out", *OPTIONS, "--quiet")
    return Case(kind.name, kind.make, command, names, code=int(bool(kind.reported)), done=done)


CASES = [case(kind) for kind in KINDS]
SOME = (
    "leads out",
    "twice in a row",
    "gzip",
    "size below 0",
    "cut in the second picture",
    "two tars in one",
)


@pytest.mark.long
@pytest.mark.parametrize("one", [c for c in CASES if c.kind in SOME], ids=str)
def test_the_command_ends_as_it_should(one, tmp_path):
    check(one, tmp_path)


@pytest.mark.long
def test_every_bad_tar_of_a_folder_is_reported_and_every_good_one_done(tmp_path):
    """All kinds in one folder."""
    shards = tmp_path / "shards"
    shards.mkdir()
    for number, kind in enumerate(KINDS):
        suffix = kind.file.removeprefix("bad")
        (shards / f"{number:03d}{suffix}").write_bytes(kind.content)
    sound, reasons = outcome(tmp_path)
    assert sound == {f"{n:03d}/{one}" for n, kind in enumerate(KINDS) for one in kind.sound}
    assert len(reasons) == sum(len(kind.reported) for kind in KINDS)


def test_a_folder_of_nothing_but_pipes_ends(tmp_path):
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(InputError, match=r"holds no image|there is no"):
        Manifest(tmp_path / "s" / "m", {}).register(open_source(str(tmp_path)).entries(), 1)
