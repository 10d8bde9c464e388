import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from trace_edges.files import FileError
from trace_edges.formats.pixels import UNLABELLED
from trace_edges.formats.semantic import read_semantic

CLASSES = np.array([[0, 1, 20], [2, 254, 255]], dtype=np.uint8)


def pickled(path, content):
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    return path


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


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_class_activation_competes_with_the_background(tmp_path, kind):
    # Classes 4 and 11 of IRN, which counts from 0 without background: 5 and 12.
    activation = np.array([[[0.1, 0.2, 0.9]], [[0.0, 0.5, 0.3]]], dtype=np.float32)
    content = {"keys": kind([4, 11]), "cam": kind(activation), "high_res": activation}
    path = pickled(tmp_path / "a.npy", content)
    assert read_semantic(path).tolist() == [[0, 12, 5]]
    assert read_semantic(path, background=0.6).tolist() == [[0, 0, 5]]


def test_of_instances_the_surer_lies_on_top(tmp_path):
    mask = np.array([[[1, 1, 0, 0]], [[0, 1, 1, 0]]], dtype=bool)
    content = {"score": np.array([0.9, 0.4]), "mask": mask, "class": np.array([0, 14])}
    path = pickled(tmp_path / "a.npy", content)
    assert read_semantic(path).tolist() == [[1, 1, 15, 0]]


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_files_of_other_protocols_are_read(tmp_path, protocol):
    mask = np.array([[[1, 0]]], dtype=np.uint8)
    content = {"score": np.ones(1), "mask": mask, "class": np.array([7])}
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        pickle.dump(np.array(content, dtype=object), file, protocol=protocol)
    assert read_semantic(tmp_path / "a.npy").tolist() == [[8, 0]]


class Trap:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.mkdir, ("sprung",)),
        (eval, ("__import__('os').mkdir('sprung')",)),
        (torch.hub.load_state_dict_from_url, ("file:///sprung",)),
    ],
)
def test_a_pickle_that_asks_for_more_is_refused(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    path = pickled(tmp_path / "a.npy", {"keys": Trap(*call)})
    with pytest.raises(FileError, match=r"asks for .*, which is no array of numbers"):
        read_semantic(path)
    assert not (tmp_path / "sprung").exists()


def test_a_trap_within_a_tensor_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inner = pickle.dumps(Trap(os.mkdir, ("sprung",)), protocol=2)
    path = pickled(tmp_path / "a.npy", {"keys": Trap(torch.storage._load_from_bytes, (inner,))})
    with pytest.raises(FileError, match="cannot be loaded"):
        read_semantic(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"cam": np.zeros((1, 2, 2))}, "holds a dictionary of cam: give IRN's with high_res"),
        ({"keys": np.zeros(2), "high_res": np.zeros((1, 2, 2))}, r"high_res is \(1, 2, 2\)"),
        ({"keys": np.zeros(0), "high_res": np.zeros((0, 2, 2))}, r"high_res is \(0, 2, 2\)"),
        ({"mask": np.zeros((2, 2)), "class": 0, "score": 1}, r"mask is \(2, 2\)"),
        ([1, "a"], "holds objects"),
    ],
)
def test_other_dictionaries_are_refused(tmp_path, content, words):
    with pytest.raises(FileError, match=words):
        read_semantic(pickled(tmp_path / "a.npy", content))


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
