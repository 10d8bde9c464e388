import numpy as np
import pytest
from PIL import Image

from trace_edges.formats.labels import (
    export_labels,
    find_label_maps,
    read_drawn,
    read_labels,
    read_masks,
    write_label_png,
)
from trace_edges.results import InstanceMasks


def write(path, values, mode=None):
    picture = Image.fromarray(np.asarray(values))
    if mode == "P":
        picture.putpalette([channel for n in range(256) for channel in (n, 255 - n, n // 2)])
    picture.save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "P"])
def test_eight_bits_are_labels_and_255_is_void(tmp_path, mode):
    path = write(tmp_path / "a.png", np.array([[0, 1, 253, 255]], dtype=np.uint8), mode)
    assert Image.open(path).mode == mode
    (segments,) = read_labels(path)
    assert segments.labels.tolist() == [[0, 1, 253, 255]]
    assert segments.void.tolist() == [[False, False, False, True]]
    assert segments.boundaries is None


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_know_no_255(tmp_path, suffix):
    values = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    (segments,) = read_labels(write(tmp_path / f"a.{suffix}", values))
    assert segments.labels.tolist() == values.tolist()
    assert not segments.void.any()


def test_colours_are_numbers(tmp_path):
    values = np.array([[[0, 0, 0], [2, 1, 0], [255, 0, 1]]], dtype=np.uint8)
    (segments,) = read_labels(write(tmp_path / "a.png", values))
    assert segments.labels.tolist() == [[0, 2 + 256, 255 + 65536]]
    assert not segments.void.any()


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.bool_])
def test_arrays_are_labels_and_negative_is_void(tmp_path, dtype):
    values = np.array([[0, 1, -1]]).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    (segments,) = read_labels(tmp_path / "a.npy")
    assert segments.labels.tolist() == values.tolist()
    assert segments.void.tolist() == [[False, False, values.dtype.kind == "i"]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3)), r"holds float64 \(2, 3\); a label map is"),
        (np.zeros((2, 3, 1), dtype=int), r"holds int64 \(2, 3, 1\)"),
        (np.full((2, 3), 2**31), "more than 31 bits"),
        (np.full((2, 3), 2**63, dtype=np.uint64), "more than 31 bits"),
    ],
)
def test_arrays_that_are_no_label_maps(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=rf"a\.npy: .*{message}"):
        read_labels(tmp_path / "a.npy")


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"a\.npy: cannot be loaded \(Object arrays"):
        read_labels(tmp_path / "a.npy")


def test_drawn_maps_have_edges_and_void(tmp_path):
    (segments,) = read_drawn(write(tmp_path / "a.png", np.array([[0, 127, 255]], dtype=np.uint8)))
    assert segments.boundaries.tolist() == [[False, False, True]]
    assert segments.void.tolist() == [[False, True, False]]
    assert segments.labels.tolist() == [[0, 0, 0]]


def test_black_and_white_is_a_drawn_map(tmp_path):
    (segments,) = read_drawn(write(tmp_path / "a.png", np.array([[False, True]])))
    assert segments.boundaries.tolist() == [[False, True]]
    assert not segments.void.any()


def test_other_values_are_no_drawn_map(tmp_path):
    path = write(tmp_path / "a.png", np.array([[0, 128, 255]], dtype=np.uint8))
    with pytest.raises(ValueError, match=r"a\.png: has the value 128, .*; cut it at a threshold"):
        read_drawn(path)
    with pytest.raises(ValueError, match="mode RGB; a drawn edge map is 8-bit grey"):
        read_drawn(write(tmp_path / "a.png", np.zeros((2, 2, 3), dtype=np.uint8)))


def test_the_negative_of_a_drawn_map_is_refused(tmp_path):
    path = write(tmp_path / "a.png", np.array([[0, 255, 255]], dtype=np.uint8))
    with pytest.raises(ValueError, match=r"a\.png: is mostly white, .*; invert it"):
        read_drawn(path)


def test_sixteen_bits_are_read_back(tmp_path):
    from skimage.io import imread

    labels = np.array([[0, 1, 255], [256, 40_000, 65_535]], dtype=np.int64)
    write_label_png(labels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(image), labels)
    read = imread(tmp_path / "a.png")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, labels)


def test_instances_are_numbered_from_one_and_the_smaller_lies_on_top(tmp_path, pictures):
    export_labels(pictures, tmp_path / "labels")
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["blank.png", "cat.png"]
    read = InstanceMasks.from_labels(np.asarray(Image.open(tmp_path / "labels" / "cat.png")))
    ring, parts, over, dot = pictures["cat"].masks
    np.testing.assert_array_equal(read.masks, [ring & ~over, parts, over, dot])
    assert not np.asarray(Image.open(tmp_path / "labels" / "blank.png")).any()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full((2, 2), 65_536), "label 65536 is not in 0 ... 65535"),
        (np.full((2, 2), -1), "label -1 is not in"),
        (np.zeros((2, 2)), r"not float64 \(2, 2\)"),
        (np.zeros((1, 2, 2), dtype=int), r"not int64 \(1, 2, 2\)"),
    ],
)
def test_what_sixteen_bits_cannot_hold_is_refused(tmp_path, labels, words):
    with pytest.raises(ValueError, match=words) as caught:
        write_label_png(labels, tmp_path / "a.png")
    assert "a.png" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_of_255_cells_in_8_bits_none_is_lost(tmp_path, suffix):
    cells = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = write(tmp_path / f"a.{suffix}", cells)
    (segments,) = read_labels(path)
    assert not segments.void.any()
    np.testing.assert_array_equal(read_masks(path), cells)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_maps_are_found_and_read_as_tiff_too(tmp_path, dtype):
    write(tmp_path / "a.tif", np.array([[0, 7]], dtype=dtype))
    assert find_label_maps(tmp_path) == {"a": tmp_path / "a.tif"}
    assert read_masks(tmp_path / "a.tif").tolist() == [[0, 7]]
