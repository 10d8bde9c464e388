import os

import numpy as np
import pytest
from PIL import Image

from trace_edges.files import FileError
from trace_edges.formats.pixels import UNLABELLED
from trace_edges.formats.semantic import read_semantic

CLASSES = np.array([[0, 1, 20], [2, 254, 255]], dtype=np.uint8)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_picture_is_read_as_its_values(tmp_path, mode):
    picture = Image.fromarray(CLASSES)
    if mode == "P":
        picture.putpalette([channel for n in range(256) for channel in (n, 255 - n, n // 2)])
    picture.save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == mode
    read = read_semantic(tmp_path / "a.png")
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, CLASSES)


def test_sixteen_bits_will_do(tmp_path):
    Image.fromarray(CLASSES.astype(np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_semantic(tmp_path / "a.png"), CLASSES)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_an_array_is_read_as_its_values(tmp_path, dtype):
    np.save(tmp_path / "a.npy", CLASSES.astype(dtype))
    np.testing.assert_array_equal(read_semantic(tmp_path / "a.npy"), CLASSES)


def test_what_is_negative_is_unknown(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[-1, 3]]))
    assert read_semantic(tmp_path / "a.npy").tolist() == [[UNLABELLED, 3]]


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


class WildPointers:
    """An array whose fields are pointers that the file makes up: NumPy believes them."""

    def __reduce__(self):
        of_objects = (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)
        state = (1, (2,), Forged(np.dtype, ("V8", False, True), of_objects), False, b"A" * 16)
        return np.zeros(1).__reduce__()[0], (np.ndarray, (0,), b"b"), state


class Forged:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


ONES = np.ones((2, 2, 2))


@pytest.mark.parametrize(
    "content",
    [
        {"keys": np.array([4, 11]), "high_res": ONES},
        {"score": np.ones(2), "mask": ONES, "class": np.array([0, 14])},
        {"keys": Trap()},
        {"score": WildPointers(), "mask": ONES, "class": np.array([0, 14])},
        [1, "a"],
    ],
)  # fmt: skip
def test_no_pickle_is_read_and_the_message_says_where_the_mend_is(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npy"
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match=r"a\.npy.*pickles.*docs/trust.md"):
        read_semantic(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 2)), r"holds float64 \(2, 2\)"),
        (np.zeros((1, 2, 2), dtype=int), r"holds int64 \(1, 2, 2\)"),
        (np.full((2, 2), 256), "has the class 256"),
    ],
)
def test_other_arrays_are_refused(tmp_path, values, words):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(FileError, match=words):
        read_semantic(tmp_path / "a.npy")


def test_other_files_are_refused(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    with pytest.raises(FileError, match="is an image of mode RGB: a semantic map is a palette"):
        read_semantic(tmp_path / "a.png")
    (tmp_path / "b.npy").write_bytes(b"nothing")
    with pytest.raises(FileError, match=r"b\.npy cannot be loaded"):
        read_semantic(tmp_path / "b.npy")
    with (tmp_path / "c.npy").open("wb") as file:
        np.savez(file, CLASSES)
    with pytest.raises(FileError, match=r"c\.npy"):
        read_semantic(tmp_path / "c.npy")
    with pytest.raises(FileNotFoundError, match=r"d\.npy"):
        read_semantic(tmp_path / "d.npy")
