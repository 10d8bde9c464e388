"""A broken file of results gives one ValueError that names it, whatever is wrong with it."""

import os
import struct
import zipfile

import numpy as np
import pytest

from trace_edges import EdgeMap, InstanceMasks
from trace_edges.results import PanopticMap, Segment

EDGES = np.linspace(0, 1, 20, dtype=np.float32).reshape(1, 4, 5)
RESULTS = {
    "edges": EdgeMap(EDGES, EDGES > 0.5),
    "masks": InstanceMasks(EDGES > 0.5, np.array([0.5], np.float32)),
    "panoptic": PanopticMap((EDGES[0] > 0.5).astype(np.int32), (Segment(1, 3, True),)),
}


def changed(**arrays):
    """Replaces arrays of the file; those that are None are left out."""

    def spoil(path):
        with np.load(path) as stored:
            found = dict(stored) | arrays
        np.savez(path, **{name: values for name, values in found.items() if values is not None})

    return spoil


def entry(content):
    """Puts something else in the place of the main array of each kind."""

    def spoil(path):
        changed(edges=None, boxes=None, ids=None)(path)
        with zipfile.ZipFile(path, "a") as archive:
            for name in ("edges", "masks", "ids"):
                archive.writestr(f"{name}.npy", content)

    return spoil


def header(shape):
    words = str({"descr": "<f4", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(words)) + words.encode()


def cut(tenth):
    return lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * tenth // 10])


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def encrypted(path):
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            content[at + flags] |= 1
    path.write_bytes(bytes(content))


SPOILED = {
    "no settings": changed(settings=None),
    "settings that are no JSON": changed(settings=np.array("{")),
    "settings that are a list": changed(settings=np.array("[]")),
    "no form": changed(format=None),
    "no arrays": changed(ridges=None, crops=None, segments=None),
    "too few bits": changed(ridges=np.zeros(1, "u1"), crops=np.zeros(1, "u1"), ids=np.zeros(3)),
    "floats for bits": changed(ridges=np.zeros(3), crops=np.zeros(3), ids=np.zeros((4, 5))),
    "a shape of a petabyte": changed(
        shape=np.array([1, 1 << 40, 1 << 20]), ridges=np.zeros(9, "u1"), ids=np.zeros(0, "i4")
    ),
    "a shape below 0": changed(shape=np.array([1, -4, -5]), edges=np.zeros(0), ids=np.zeros(0)),
    "text": changed(edges=np.array("x"), scores=np.array(["x"]), ids=np.array([["x"]])),
    "complex": changed(edges=EDGES * 1j, scores=np.array([1j]), ids=EDGES[0] * 1j),
    "wrong segments": changed(
        segments=np.array('[{"id": 1, "category": "x", "thing": true}]'), edges=None, boxes=None
    ),
    "segments in lists": changed(segments=np.array('[["id"]]'), edges=None, boxes=None),
    "objects": changed(edges=np.array([{}]), masks=np.array([{}]), ids=np.array([{}])),
    "an entry of a petabyte": entry(header((1 << 48,)) + bytes(64)),
    "an entry that is no array": entry(b"text"),
    "an entry with a damaged header": entry(b"\x93NUMPY\1\0\x10\0{'descr': (((((("),
    "encrypted": encrypted,
    "a single array": lambda path: path.write_bytes(header((1,)) + bytes(4)),
    "no bytes": lambda path: path.write_bytes(b""),
    "text for a file": lambda path: path.write_text("no archive\n", encoding="utf-8"),
    "a folder": folder,
    "a pipe": pipe,
    **{f"cut at {tenth} tenths": cut(tenth) for tenth in range(1, 10)},
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_broken_file_gives_one_error_that_names_it(spoiled, kind, tmp_path):
    path = tmp_path / "result.npz"
    RESULTS[kind].save(path)
    SPOILED[spoiled](path)
    with pytest.raises(ValueError, match="saved by trace-edges") as caught:
        type(RESULTS[kind]).load(path)
    assert str(caught.value).startswith(f"{path} is not ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", RESULTS)
def test_what_was_saved_comes_back(kind, tmp_path):
    path = tmp_path / "result.npz"
    RESULTS[kind].save(path)
    assert type(RESULTS[kind]).load(path).facts == RESULTS[kind].facts
