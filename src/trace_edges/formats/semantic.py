"""Read semantic maps that networks made: which class each pixel is of.

Known are label images, as DHR and MARS write them, integer arrays, and the dictionaries of IRN.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from trace_edges.files import FileError
from trace_edges.formats.arrays import check_header_length, load_array, open_regular
from trace_edges.formats.folders import find_by_name
from trace_edges.formats.pixels import UNLABELLED, read_pixels

SUFFIXES = (".png", ".npy", ".tif", ".tiff")
_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
_MEND = "give class numbers of 0 (background) ... 254, and 255 or less than 0 where unknown"
# What pickled arrays are made of: types, and functions that make arrays of bytes and types.
_NUMPY = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
    )
}


def find_semantic_maps(folder: Path) -> dict[str, Path]:
    """The semantic maps of a folder, NAME.png or NAME.npy, by image name.

    Errors are those of `find_by_name`.
    """
    return find_by_name(folder, "semantic map", SUFFIXES)


def read_semantic(
    path: str | PathLike[str], *, background: float = 0.15
) -> Int32[np.ndarray, "h w"]:
    """The class of every pixel: 0 is the background, `UNLABELLED` = 255 what is of no known class.

    Args:
        path: a palette or grey PNG whose value is the class; a .npy array (h, w) of integers; or a
            .npy dictionary of IRN, whose classes are counted from 0 without the background, and
            become 1, 2, ...: class activation (`high_res`, `keys`), or instances (`mask`, `class`,
            `score`), of which the surer lies on top.
        background: of class activation in [0, 1], what the background counts as; IRN evaluates
            with 0.15.

    Raises:
        FileNotFoundError: there is none.
        FileError: a `ValueError` of one line: the file is damaged or holds something else. A
            pickle that asks for anything but arrays of numbers is refused before it gets it.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        content = _read_npy(path)
    else:
        content, _ = read_pixels(path, _MODES, "a semantic map is a palette or grey PNG")
    if isinstance(content, Mapping):
        content = _from_irn(path, content, background)
    if content.ndim != 2 or content.dtype.kind not in "iub":
        raise FileError(path, f"holds {content.dtype} {content.shape}", f"a semantic map is one "
                      f"(h, w) array of integers: {_MEND}")  # fmt: skip
    if content.size and content.max() > UNLABELLED:
        raise FileError(path, f"has the class {content.max()}", _MEND)
    classes = content.astype(np.int32)
    return np.where(classes < 0, np.int32(UNLABELLED), classes)


def _read_npy(path: Path) -> Any:
    try:
        with open_regular(path, "give a file") as file:
            header = _npy_header(file)
            if header is not None and header[2].hasobject:
                return _only_dictionary(path, _Numbers(file).load())
    except (FileError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # damaged pickles raise nearly anything
        reason = (str(error) or type(error).__name__)[:200]
        mend = "save one (h, w) array of integers with numpy.save"
        raise FileError(path, f"cannot be loaded ({reason})", mend) from error
    return load_array(path, "save one (h, w) array of integers with numpy.save")


def _npy_header(file: io.BufferedReader) -> tuple[tuple[int, ...], bool, np.dtype] | None:
    """Shape, order and type; None for a version that has no pickles here."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version == (2, 0):
        check_header_length(file)
    return readers[version](file) if version in readers else None


def _only_dictionary(path: Path, content: Any) -> Mapping[str, Any]:
    value = content.item() if isinstance(content, np.ndarray) and content.ndim == 0 else content
    if not isinstance(value, Mapping):
        raise FileError(path, "holds objects", "save one (h, w) array of integers with numpy.save")
    return value


class _Numbers(pickle.Unpickler):
    """Makes arrays of NumPy and tensors on the CPU, which IRN's files hold, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _NUMPY:
            return super().find_class(module, name)
        if (module, name) == ("collections", "OrderedDict"):  # the hooks of a tensor: none
            return super().find_class(module, name)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return super().find_class(module, name)
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no array of numbers")


def _storage(content: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _from_irn(
    path: Path, content: Mapping[str, Any], background: float
) -> Int32[np.ndarray, "h w"]:
    if {"mask", "class", "score"} <= content.keys():
        masks, classes, scores = (
            np.asarray(content[key]) for key in ("mask", "class", "score")
        )  # (n, h, w), (n,), (n,)
        _check_planes(path, masks, classes, "mask")
        drawn = np.zeros(masks.shape[1:], dtype=np.int32)
        for index in np.argsort(scores, kind="stable"):
            drawn[masks[index] > 0] = classes[index] + 1
        return drawn
    if {"high_res", "keys"} <= content.keys():
        activation, keys = np.asarray(content["high_res"]), np.asarray(content["keys"])
        _check_planes(path, activation, keys, "high_res")
        planes = np.concatenate([np.full_like(activation[:1], background), activation])
        return np.append(0, keys + 1).astype(np.int32)[planes.argmax(axis=0)]
    held = ", ".join(sorted(map(str, content)))
    mend = "give IRN's with high_res and keys, or with mask, class and score"
    raise FileError(path, f"holds a dictionary of {held}", mend)


def _check_planes(path: Path, planes: np.ndarray, classes: np.ndarray, key: str) -> None:
    if planes.ndim != 3 or classes.shape != planes.shape[:1] or not len(classes):
        problem = f"its {key} is {planes.shape} and its classes are {classes.shape}"
        raise FileError(path, problem, "they must be (n, h, w) and (n,)")
