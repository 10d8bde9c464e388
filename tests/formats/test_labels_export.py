import numpy as np
import pytest
from PIL import Image

from trace_edges.formats.labels_export import export_labels, write_label_png
from trace_edges.results import InstanceMasks


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
