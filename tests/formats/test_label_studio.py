import json

import numpy as np
import pytest

from trace_edges.formats.brush import brush_rle
from trace_edges.formats.label_studio import export_label_studio
from trace_edges.results import InstanceMasks

WHERE = {"cat": "/data/local-files/?d=cat.jpg", "blank": "https://example.org/blank.jpg"}


def decoded(code):
    """The values that a brush code stands for, read bit by bit as Label Studio documents them."""
    bits = "".join(f"{byte:08b}" for byte in code)
    place = 0

    def read(size):
        nonlocal place
        place += size
        return int(bits[place - size : place], 2)

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values = []
    while len(values) < count:
        run, length = read(1), read(sizes[read(2)]) + 1
        values += [read(word)] * length if run else [read(word) for _ in range(length)]
    assert len(values) == count
    return np.array(values)


def whole(mask):
    """The code of a mask whose box is the image."""
    return brush_rle(mask, np.s_[0 : mask.shape[0], 0 : mask.shape[1]], mask.shape)


@pytest.mark.parametrize("corner", [(0, 0), (2, 3), (0, 5), (4, 0)])
@pytest.mark.parametrize("shape", [(3, 4), (1, 9), (5, 1), (5, 9)])
def test_a_mask_within_its_box_has_the_code_of_the_mask_in_the_image(corner, shape):
    size = (9, 9)
    window = tuple(slice(c, min(c + s, 9)) for c, s in zip(corner, shape, strict=True))
    mask = np.zeros(size, dtype=bool)
    crop = np.random.default_rng(0).random(mask[window].shape) > 0.3
    crop[:, [0, -1]] = True  # rows that end at the right border go on at the left one
    mask[window] = crop
    expected = np.repeat(np.where(mask.ravel(), 255, 0), 4)
    np.testing.assert_array_equal(decoded(brush_rle(crop, window, size)), expected)


def test_strokes_are_made_without_masks_at_the_size_of_the_image(tmp_path):
    large = InstanceMasks.cropped(
        [np.s_[0:2, 0:2]] * 5, [np.ones((2, 2), dtype=bool)] * 5, (2000, 3000)
    )
    export_label_studio(large, tmp_path / "tasks.json", images=["a.jpg"])
    assert "masks" not in vars(large)  # which would be 5 x 2000 x 3000


def test_a_code_by_hand():
    # 8 values of 8 bits; lengths of 3, 4, 8, 16 bits; 4 times 255, 4 times 0.
    bits = f"{8:032b}00111001000110111111110001111111111"
    bits += "10001100000000"
    bits = bits.ljust(88, "0")
    expected = bytes(int(bits[n : n + 8], 2) for n in range(0, 88, 8))
    assert whole(np.array([[True, False]])) == expected


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 63, 64, 65, 16383, 16384, 16385, 40000])
def test_runs_of_every_length(length):
    mask = np.zeros((1, length + 3), dtype=bool)
    mask[0, 1 : 1 + length] = True
    expected = np.repeat(np.where(mask.ravel(), 255, 0), 4)
    np.testing.assert_array_equal(decoded(whole(mask)), expected)


def test_label_studios_own_library_reads_the_masks_back(tmp_path, pictures):
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    export_label_studio(pictures, tmp_path / "tasks.json", images=WHERE)
    _, cat = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    result = cat["predictions"][0]["result"]
    # As Label Studio's own export flattens a stroke before it is drawn.
    layers = brush.decode_from_annotation("mask", [{**one, **one["value"]} for one in result])
    assert list(layers) == [f"mask-object-{n}" for n in range(4)]
    np.testing.assert_array_equal(
        np.stack(list(layers.values())), np.where(pictures["cat"].masks, 255, 0)
    )


def test_a_task_names_its_image_size_and_label(tmp_path, pictures):
    export_label_studio(
        pictures, tmp_path / "tasks.json", images=WHERE, category="cell", version="v1"
    )
    blank, cat = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert blank == {
        "data": {"image": WHERE["blank"], "height": 10, "width": 10},
        "predictions": [{"model_version": "v1", "result": []}],
    }
    stroke = cat["predictions"][0]["result"][0]
    code = stroke["value"].pop("rle")
    assert decoded(bytes(code)).sum() == 88 * 4 * 255
    assert stroke == {
        "id": "cat-1",
        "type": "brushlabels",
        "from_name": "mask",
        "to_name": "image",
        "original_width": 30,
        "original_height": 20,
        "image_rotation": 0,
        "value": {"format": "rle", "brushlabels": ["cell"]},
        "score": 0.9,
    }


def test_every_image_must_have_its_place(tmp_path, pictures):
    with pytest.raises(ValueError, match="images lacks blank"):
        export_label_studio(pictures, tmp_path / "tasks.json", images={"cat": "cat.jpg"})
    assert not list(tmp_path.iterdir())
