"""MATLAB 5 files: cells, structures and arrays of numbers, as MathWorks describes the format.

SciPy's reader believes what damaged files say, until the process crashes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

_HEADER = 128  # bytes
_ORDERS = {b"\0\1IM": "<", b"\1\0MI": ">"}
_MATLAB_7_3 = (b"\0\2IM", b"\2\0MI")
_MATRIX, _COMPRESSED = 14, 15  # types of elements; those of numbers are
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CELL, _STRUCTURE, _ARRAYS = 1, 2, range(6, 16)  # classes of matrices
_COMPLEX = 0x800
_LARGEST = 1 << 30  # bytes of an unfolded variable

Elements: TypeAlias = Iterator[tuple[int, memoryview]]  # type and content


def read_variable(content: bytes, name: str) -> Any:
    """A variable: the members of a cell or a structure as a list, or an array as it is.

    Members of a structure are mappings. None where the file has no variable of this name.

    Raises:
        NotImplementedError: it is of MATLAB 7.3, which is HDF5.
        ValueError: it is no such file, damaged, too large, or holds something else.
        RecursionError: its cells are nested too deeply.
    """
    if content[124:_HEADER] in _MATLAB_7_3:
        raise NotImplementedError
    order = _ORDERS.get(content[124:_HEADER])
    if order is None:
        raise ValueError("it is not a MATLAB 5 file")
    for kind, data in _elements(memoryview(content)[_HEADER:], order):
        if kind == _COMPRESSED:
            kind, data = next(_elements(_unfolded(data), order), (0, data))
        if kind == _MATRIX and (found := _matrix(data, order, name)) is not None:
            return found
    return None


def _unfolded(data: memoryview) -> memoryview:
    unfold = zlib.decompressobj()
    try:
        content = unfold.decompress(data, _LARGEST)
    except zlib.error as error:
        raise ValueError(f"its compressed data are damaged: {error}") from error
    if not unfold.eof:
        raise ValueError(f"it is truncated, or unpacks to more than {_LARGEST >> 20:,} MiB")
    return memoryview(content)


def _elements(data: memoryview, order: str) -> Elements:
    """The elements that follow one another."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError("it is truncated")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        begin, following = at + 8, at + 8 + size
        if kind != _COMPRESSED:
            following += -size % 8
        if kind >> 16:  # up to four bytes, which stand where the size would
            kind, size, begin, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if begin + size > min(following, len(data)):
            raise ValueError("it is truncated, or declares more than it holds")
        yield kind, data[begin : begin + size]
        at = following


def _matrix(data: memoryview, order: str, wanted: str | None = None) -> Any:
    """The value of a matrix; None where it has another name than is wanted."""
    parts = _elements(data, order)
    flags, shape, name = (_numbers(parts, order) for _ in range(3))
    if not flags.size or shape.size < 2 or shape.min() < 0:
        raise ValueError("one of its matrices has no class or no shape")
    if wanted is not None and name.astype("u1").tobytes() != wanted.encode():
        return None
    kind, count = int(flags[0]) & 0xFF, math.prod(shape.tolist())
    if kind in _ARRAYS and not int(flags[0]) & _COMPLEX:
        values = _numbers(parts, order)
        if values.size != count:
            raise ValueError(f"it declares {count:,} numbers and holds {values.size:,}")
        return values.reshape(shape, order="F")
    if kind == _CELL:
        return [_member(parts, order) for _ in range(count)]
    if kind == _STRUCTURE:
        length, text = _numbers(parts, order), _numbers(parts, order).astype("u1").tobytes()
        if length.size != 1 or length[0] < 1:
            raise ValueError("one of its structures has no names")
        names = [text[at : at + length[0]] for at in range(0, len(text), int(length[0]))]
        keys = [one.partition(b"\0")[0].decode("latin-1") for one in names]
        return [{key: _member(parts, order) for key in keys} for _ in range(count if keys else 0)]
    raise ValueError(f"it holds a matrix of class {kind}, not of numbers, cells or structures")


def _member(parts: Elements, order: str) -> Any:
    kind, data = next(parts, (0, memoryview(b"")))
    if kind != _MATRIX:
        raise ValueError("one of its cells or structures lacks a member")
    return _matrix(data, order) if data else np.zeros((0, 0))


def _numbers(parts: Elements, order: str) -> np.ndarray:
    """The next element as numbers."""
    kind, data = next(parts, (0, memoryview(b"")))
    if kind not in _NUMBERS:
        raise ValueError("numbers are missing in it")
    dtype = np.dtype(f"{order}{_NUMBERS[kind]}")
    if len(data) % dtype.itemsize:
        raise ValueError("it is truncated")
    return np.frombuffer(data, dtype)
