# ruff: noqa: E501  one kind a line
"""Label maps, semantic maps, edge maps and .mat files: read, or refused in one line that names them."""

from __future__ import annotations

import io
import os
import pickle
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from trace_edges.formats.bsds import read_bsds
from trace_edges.formats.edge_maps import read_edge_map
from trace_edges.formats.labels import read_drawn, read_labels, read_masks
from trace_edges.formats.semantic import read_semantic

from .pictures import EMF, MARKER, PDF, POSTSCRIPT, WMF, encoded, fake_ghostscript, png, tiff
from .reading import each, told

LABELS = (np.arange(32 * 32, dtype="u1") % 5).reshape(32, 32)
READERS = {
    "labels": read_labels, "drawn": read_drawn, "masks": read_masks, "semantic": read_semantic,
    "edges": read_edge_map, "bsds": read_bsds,
}  # fmt: skip
REFUSALS = (ValueError, FileNotFoundError)
ALL, MAPS = tuple(READERS), ("labels", "drawn", "masks", "semantic", "edges")


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(words: str, version: bytes = b"\1\0") -> bytes:
    """The beginning of a .npy file that says what it likes."""
    words = words.ljust(117) + "\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(words)) + words.encode()


def declares(shape: str, kind: str = "'|u1'") -> bytes:
    return header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}") + bytes(64)


class Harmful:
    """Unpickled, it leaves a marker in the folder that is worked in."""

    def __reduce__(self):
        return os.mkdir, (MARKER,)


def mat(compressed: bool = False, **values: object) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, values, do_compression=compressed)
    return buffer.getvalue()


def truth(segmentation: object, boundaries: object) -> np.ndarray:
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = {"Segmentation": segmentation, "Boundaries": boundaries}
    return cell


def nested_cells() -> bytes:
    """Two thousand cells in one another."""
    inner = b""
    for depth in range(2000):
        name = b"groundTruth\0\0\0\0\0" if depth == 1999 else b""
        head = struct.pack("<8I2I", 6, 8, 1, 0, 5, 8, 1, 1, 1, len(name.rstrip(b"\0"))) + name
        inner = struct.pack("<2I", 14, len(head) + len(inner)) + head + inner
    return MAT[:128] + inner


MAT = mat(groundTruth=truth(LABELS.astype("u2"), LABELS == 0))
PACKED = mat(True, groundTruth=truth(LABELS.astype("u2"), LABELS == 0))
NPY, PNG, TIFF = npy(LABELS), encoded(LABELS, "PNG"), encoded(LABELS, "TIFF")
OBJECTS = npy(np.array([Harmful()], dtype=object))


@dataclass(frozen=True)
class Kind:
    """A file, who reads it, and whether all of them read it (True), refuse it (False), or either."""

    name: str
    file: str
    content: bytes
    sound: bool | None = False
    readers: tuple[str, ...] = MAPS


def cuts(file: str, content: bytes, readers: tuple[str, ...] = MAPS) -> list[Kind]:
    return [
        Kind(
            f"{file} cut at {t} tenths",
            file,
            content[: len(content) * t // 10],
            None if t else False,
            readers,
        )
        for t in range(10)
    ]


INTEGERS = ("labels", "masks", "semantic")
KINDS = [
    Kind("sound npy", "a.npy", NPY, True, INTEGERS),
    Kind("sound PNG", "a.png", PNG, True, INTEGERS),
    Kind("sound TIFF", "a.tif", TIFF, True, INTEGERS),
    Kind("sound mat", "a.mat", MAT, True, ("bsds",)),
    Kind("sound packed mat", "a.mat", PACKED, True, ("bsds",)),
    Kind("big-endian", "a.npy", npy(LABELS.astype(">i4")), True, INTEGERS),
    Kind("Fortran", "a.npy", npy(np.asfortranarray(LABELS)), True, INTEGERS),
    Kind("big-endian floats", "a.npy", npy((LABELS / 5).astype(">f8")), True, ("edges",)),
    Kind("half floats", "a.npy", npy((LABELS / 5).astype("f2")), True, ("edges",)),
    *cuts("a.npy", NPY), *cuts("a.png", PNG), *cuts("a.tif", TIFF),
    *cuts("a.mat", MAT, ("bsds",)), *cuts("b.mat", PACKED, ("bsds",)),
    *(Kind(f"garbage called {suffix}", f"a.{suffix}", bytes((i * i * 7 + i // 3) % 251 for i in range(3000)), False, ALL) for suffix in ("png", "npy", "tif", "mat", "npz")),
    *(Kind(f"array called {suffix}", f"a.{suffix}", NPY) for suffix in ("png", "tif", "jpg")),
    *(Kind(f"PNG called {suffix}", f"a.{suffix}", PNG, False, ALL) for suffix in ("npy",)),
    *(Kind(f"{what} called {suffix}", f"a.{suffix}", content, False, ALL) for what, content in (("PostScript", POSTSCRIPT), ("PDF", PDF), ("WMF", WMF), ("EMF", EMF)) for suffix in ("png", "tif", "npy")),
    *(Kind(f"shape {shape}", "a.npy", declares(shape)) for shape in ("(1000000, 1000000)", "(99999999999999999999, 2)", "(-1, 8)", "(-8, -8)", "'x'", "(2.5, 2)", "None", "(8, 'a')", "(True, 64)", "(0, 99999999999, 2)", "(0, 99999999999)", "(99999999999, 0)", "(0, 0)", "(0, 99999999999, 99999999999)", "(64,)", "()", "(1, 1, 1, 64)")),
    *(Kind(f"type {kind}", "a.npy", declares("(2, 2)", kind)) for kind in ("'|O'", "'<U4'", "'|S4'", "'<c8'", "'<M8[s]'", "'|V4'", "'xyz'", "5", "[('a', '<i4')]", "'<i99'", "[('a', '|O')]")),
    *(Kind(f"header {words[:20]}", "a.npy", header(words)) for words in ("", "{", "{'descr': (((", "x" * 100, "__import__('os').mkdir('x')", "[" * 117, "{'descr': '<f4'}", "\0" * 50)),
    *(Kind(f"version {version[0]}", "a.npy", header("{}", version)) for version in (b"\0\0", b"\2\0", b"\3\0", b"\x09\0")),
    Kind("objects", "a.npy", OBJECTS),
    Kind("pickle", "a.npy", pickle.dumps(Harmful())),
    Kind("pickle called png", "a.png", pickle.dumps(Harmful())),
    Kind("dictionary of a harmful one", "a.npy", npy(np.array({"mask": Harmful()}, dtype=object))),
    Kind("NaN", "a.npy", npy(np.full((8, 8), np.nan))),
    Kind("infinite", "a.npy", npy(np.full((8, 8), np.inf))),
    Kind("huge labels", "a.npy", npy(np.full((8, 8), 2**63, "u8")), False, ("labels", "semantic", "edges")),
    Kind("PNG of 2^31", "a.png", png(2**31 - 1, 2**31 - 1)),
    Kind("PNG of no data", "a.png", png(packed=b"")),
    Kind("TIFF of 2^31", "a.tif", tiff((256, 4, 1, 2**31), (257, 4, 1, 2**31))),
    Kind("TIFF of 65535 samples", "a.tif", tiff((277, 3, 1, 65535))),
    Kind("JPEG", "a.png", encoded(LABELS, "JPEG"), False, ("labels", "drawn", "masks", "semantic")),
    Kind("no variables", "a.mat", mat(x=1), False, ("bsds",)),
    *(Kind(f"truth {name}", "a.mat", mat(groundTruth=value), False, ("bsds",)) for name, value in (("of numbers", np.zeros((2, 2))), ("of text", "x"), ("of NaN", truth(np.full((4, 4), np.nan), LABELS[:4, :4])), ("of two sizes", truth(LABELS, LABELS[:4] > 0)), ("of a volume", truth(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))))),
    Kind("cells in cells", "a.mat", nested_cells(), False, ("bsds",)),
    Kind("numbers that are not there", "a.mat", MAT.replace(struct.pack("<2I", 32, 32), struct.pack("<2I", 32, 33)), False, ("bsds",)),
    Kind("MATLAB 7.3", "a.mat", b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF\r\n\x1a\n" + bytes(99), False, ("bsds",)),
]  # fmt: skip
SAMPLE = [kind for kind in KINDS if kind.name in (
    "big-endian", "a.png cut at 5 tenths", "a.npy cut at 9 tenths", "PostScript called png",
    "header {'descr': (((", "shape (1000000, 1000000)", "objects", "truth of two sizes",
)]  # fmt: skip


def agrees(kind: Kind, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    environment = fake_ghostscript(folder)
    path = folder / kind.file
    path.write_bytes(kind.content)
    readers = tuple(READERS[name] for name in kind.readers)
    found = told(partial(each, readers, kind.sound), path, (), environment)
    assert found is None
    assert not (folder / MARKER).exists(), "a program was run"


def called(kind: Kind) -> str:
    return kind.name.replace(" ", "_")


@pytest.mark.parametrize("kind", SAMPLE, ids=called)
def test_some_maps_are_read_or_refused_in_one_line(kind, tmp_path, monkeypatch):
    agrees(kind, tmp_path, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS, ids=called)
def test_every_map_is_read_or_refused_in_one_line(kind, tmp_path, monkeypatch):
    agrees(kind, tmp_path, monkeypatch)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("what", ["folder", "pipe", "link to nowhere", "nothing"])
@pytest.mark.long
def test_what_is_no_file_is_refused(what, reader, tmp_path):
    path = tmp_path / "a.npy"
    {
        "folder": path.mkdir, "pipe": lambda: os.mkfifo(path),
        "link to nowhere": lambda: path.symlink_to("nowhere"), "nothing": lambda: None,
    }[what]()  # fmt: skip
    assert "a.npy" in (told(READERS[reader], path, REFUSALS) or "")
