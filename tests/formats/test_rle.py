import numpy as np
import pytest

from trace_edges.formats.rle import (
    compress_runs,
    crop_runs,
    decode_crop,
    decode_runs,
    encode_crop,
    encode_mask,
    mask_runs,
)

coder = pytest.importorskip("pycocotools.mask")


def encode(mask):
    return coder.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()


def test_hand_worked_runs():
    # Down the columns of 2 x 4: 0 1 | 1 1 | 0 0 | 1 0.
    mask = np.array([[0, 1, 0, 1], [1, 1, 0, 0]])
    assert mask_runs({"counts": encode(mask)}, (2, 4)).tolist() == [1, 3, 2, 1, 1]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_runs_rebuild_the_mask(share):
    mask = np.random.default_rng(0).random((300, 500)) < share
    mask[100:200, 50:300] ^= True  # short runs and long ones, so differences of either sign
    runs = mask_runs({"counts": encode(mask)}, mask.shape)
    rebuilt = np.repeat(np.arange(len(runs)) % 2, runs).reshape(mask.shape, order="F")
    np.testing.assert_array_equal(rebuilt, mask)


@pytest.mark.parametrize("counts", ["", "o", "abc!", "é", "~~~0", "o" * 50 + "0", "P" * 12 + "0"])
def test_damaged_code_is_refused(counts):
    with pytest.raises(ValueError, match="its RLE is damaged"):
        mask_runs({"counts": counts}, (2, 4))


@pytest.mark.parametrize("counts", ["0", "7", "9", "O9"])
def test_runs_must_fill_the_image(counts):
    # 0 px, 7 px, 9 px; and -1 + 9 = 8 px.
    with pytest.raises(ValueError, match=r"2 x 4|less than 0"):
        mask_runs({"counts": counts}, (2, 4))
    assert mask_runs({"counts": "8"}, (2, 4)).tolist() == [8]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_mask_comes_back_from_its_code(share):
    mask = np.random.default_rng(0).random((30, 50)) < share
    code = encode_mask(mask)
    assert code == {"size": [30, 50], "counts": encode(mask)}
    runs = mask_runs(code, mask.shape)
    np.testing.assert_array_equal(decode_runs(runs, mask.shape), mask)
    assert compress_runs(runs, mask.shape) == code["counts"]


def test_runs_in_a_list_must_fill_the_image():
    with pytest.raises(ValueError, match="add up to 7 px, not 2 x 4"):
        mask_runs({"counts": [3, 4]}, (2, 4))


@pytest.mark.parametrize("counts", [[2**62, 2**62, 2**62, 2**62, 8], "P" * 11 + "8", [9, -1]])
def test_runs_beyond_the_image_are_refused_before_they_are_summed(counts):
    with pytest.raises(ValueError, match="its RLE is damaged"):
        mask_runs({"counts": counts}, (2, 4))


@pytest.mark.parametrize("seed", range(20))
def test_a_crop_has_the_runs_of_its_mask(seed):
    """Also where masks touch the border of the image, so that runs go on in the next column."""
    pytest.importorskip("pycocotools")
    rng = np.random.default_rng(seed)
    mask = np.zeros((9, 7), dtype=bool)
    top, left = rng.integers(0, 5, 2)
    mask[top:, left : left + 3] = rng.random((9 - top, min(3, 7 - left))) < 0.7
    mask[:, 3] |= seed % 2 == 0
    mask[8, 6] |= seed % 3 == 0
    mask[4, 4] = True
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    code = encode_mask(mask)
    assert encode_crop(mask[window], window, mask.shape) == code
    runs = mask_runs(code, mask.shape)
    np.testing.assert_array_equal(crop_runs(mask[window], window, mask.shape), runs)
    found, crop = decode_crop(runs, mask.shape)
    assert found == window
    np.testing.assert_array_equal(crop, mask[window])
