"""Arrays in .npy files: nothing is unpickled, and no memory is taken for what isn't there."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOENT
from os import PathLike
from tokenize import TokenError

import numpy as np

from trace_edges.files import FileError
from trace_edges.images.opening import open_file
from trace_edges.images.stored import LABELS, MAX_PIXELS, ImageError
from trace_edges.memory import free

_ZIP = b"PK"
_DAMAGE = (
    ValueError,
    TypeError,
    EOFError,
    SyntaxError,
    RecursionError,
    OverflowError,
    KeyError,
    TokenError,
)


def load_array(path: str | PathLike[str], mend: str) -> np.ndarray:
    """The array of a .npy file, also where Python 2 wrote it, which NumPy warns of.

    Args:
        path: the file.
        mend: what to do where it holds something else.

    Raises:
        FileNotFoundError: there is none.
        FileError: a `ValueError` of one line: it is not an .npy file, is damaged, holds objects
            (which are never unpickled), no pixel, or more than 400 megapixels or memory has.
    """
    with open_regular(path, mend) as file, _quiet_headers():
        start = file.read(6)
        if start[:2] == _ZIP:
            raise FileError(path, "holds an archive", mend)
        if start != b"\x93NUMPY":
            raise FileError(path, "cannot be loaded (it is not an .npy file)", mend)
        file.seek(0)
        try:
            shape, dtype = _header(file)
        except _DAMAGE as error:
            raise FileError(path, f"cannot be loaded ({_short(error)})", mend) from error
        if dtype.hasobject:
            problem = "cannot be loaded (Object arrays are pickles, which are not read)"
            raise FileError(path, problem, mend)
        held = os.fstat(file.fileno()).st_size - file.tell()
        declared = math.prod(shape) * dtype.itemsize
        if declared > held or min(shape, default=0) < 0:
            problem = f"cannot be loaded (it declares {declared:,} bytes and holds {held:,})"
            raise FileError(path, problem, mend)
        if not 0 < math.prod(shape[-2:]) <= MAX_PIXELS:
            bounds = f"make it at least 1 and at most {MAX_PIXELS:,} pixels"
            raise FileError(path, f"holds an array of {shape}", bounds)
        needed, there = declared + LABELS * math.prod(shape[-2:]), free()
        if needed > there:
            sizes = f"{needed / 2**30:.1f} GiB of memory, and {there / 2**30:.1f} are free"
            raise FileError(path, f"holds an array of {shape} and needs {sizes}", "make it smaller")
        file.seek(0)
        try:
            return np.load(file, allow_pickle=False)
        except _DAMAGE as error:
            raise FileError(path, f"cannot be loaded ({_short(error)})", mend) from error


def open_regular(path: str | PathLike[str], mend: str) -> io.BufferedReader:
    """The file, opened for reading; pipes and devices would keep us waiting for ever.

    Raises:
        FileNotFoundError: there is none.
        FileError: it is no ordinary file, or cannot be opened.
    """
    try:
        return open_file(path, str(path))
    except ImageError as error:
        if not os.path.exists(path):
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(path)) from error
        told = str(error).removeprefix(f"{path}: ")
        raise FileError(path, told.partition(";")[0], mend) from error


def check_header_length(file: io.BufferedReader) -> None:
    """Raises a `ValueError` where the next four bytes declare a header longer than the file."""
    at = file.tell()
    length = int.from_bytes(file.read(4), "little")
    file.seek(at)
    if length > os.fstat(file.fileno()).st_size:
        raise ValueError(f"its header declares {length:,} bytes")


@contextmanager
def _quiet_headers() -> Iterator[None]:
    """Within, NumPy warns of no odd header: it is read, or refused."""
    with warnings.catch_warnings():
        # Not of everything: filters are of the whole process, and threads may end in any order.
        warnings.filterwarnings("ignore", message="Reading `.npy`")
        warnings.filterwarnings("ignore", category=SyntaxWarning)
        yield


def _header(file: io.BufferedReader) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"it is of version {version[0]}.{version[1]}, which is not known")
    if version > (1, 0):
        check_header_length(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:  # 3.0 differs from 2.0 by the encoding of names of fields, which no image has
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype


def _short(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:120]
