import os
import warnings

import numpy as np
import pytest

from trace_edges.files import FileError
from trace_edges.formats.arrays import load_array

ARRAY = np.arange(12, dtype=np.int16).reshape(3, 4)


@pytest.mark.parametrize(
    "array", [ARRAY, np.asfortranarray(ARRAY), ARRAY[::-1, ::2], ARRAY.astype(">i2"), ARRAY > 3]
)
def test_arrays_come_back(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(load_array(tmp_path / "a.npy", "mend"), array)


def declares(shape):
    """A header of that shape, and no values."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def test_an_array_that_python_2_wrote_comes_back_without_a_word(tmp_path):
    values = np.arange(12.0)
    (tmp_path / "a.npy").write_bytes(declares("(3L, 4L)") + values.tobytes())
    with warnings.catch_warnings(action="error"):
        array = load_array(tmp_path / "a.npy", "mend")
    np.testing.assert_array_equal(array, values.reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is not an .npy file"),
        (b"PK\x03\x04" + bytes(40), "holds an archive"),
        (b"\x93NUMPY", "cannot be loaded"),
        (b"\x93NUMPY\x09\x00" + bytes(40), "cannot be loaded"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f", "cannot be loaded"),
        (declares("(1000000000, 1000000000)"), "it declares 8,000,000,000,000,000,000 bytes and"),
        (declares("(-1, 4)"), "cannot be loaded"),
        (declares("'x'"), "cannot be loaded"),
        (declares("(" * 60 + ")" * 60), "cannot be loaded"),
    ],
)
def test_what_is_no_array_is_one_line(tmp_path, content, problem):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(FileError, match=rf"a\.npy .*{problem}.*: mend$"):
        load_array(tmp_path / "a.npy", "mend")


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(FileError, match="Object arrays are pickles"):
        load_array(tmp_path / "a.npy", "mend")


def test_pipes_and_missing_files_are_told_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(FileError, match="is a pipe"):
        load_array(tmp_path / "a.npy", "mend")
    with pytest.raises(FileNotFoundError):
        load_array(tmp_path / "b.npy", "mend")
