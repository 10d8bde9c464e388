"""Edge maps in files, as `detect` and the detectors of others write them: found, read, written."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from trace_edges.files import FileError, write_npy
from trace_edges.formats.arrays import load_array
from trace_edges.formats.folders import find_by_name
from trace_edges.formats.pixels import palette_colours, stored_pixels, write_png

EdgeArray = Float32[np.ndarray, "h w"] | UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]

EdgeFormat = Literal["png", "png16", "npy"]  # 8 or 16 bits of grey, or float32 in [0, 1]

SUFFIXES = (".png", ".npy", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp")


def find_edge_maps(folder: Path) -> dict[str, Path]:
    """The edge maps of a folder and those below it by image name; day1/NAME.edges.png is the map of
    day1/NAME.

    Where a folder holds results of `trace-edges detect`, its overlays are left out.

    Raises:
        ValueError: there is no such folder, no map in it, or two of one image.
    """
    return find_by_name(folder, "edge map", SUFFIXES, of=".edges", without=(".overlay",))


def read_edge_map(path: Path) -> EdgeArray:
    """Edge strength of a file: (h, w) uint8 or uint16 as they are stored, or floats in [0, 1].

    Images are grey, or colour with equal channels; white is an edge.

    Raises:
        ValueError: the file cannot be read, or holds something else.
    """
    if path.suffix.lower() == ".npy":
        return _read_array(path)
    values, mode = _read_grey(path)
    if values.dtype.kind == "f":
        return _unit_floats(values, path)
    if values.dtype.kind in "iu" and values.dtype.itemsize > 2:
        if values.size and not 0 <= values.min() <= values.max() < 65536:
            raise ValueError(f"{path} has values outside 0 ... 65535; an edge map has 8 or 16 bits")
        values = values.astype(np.uint16)  # as older 16-bit files are read
    if values.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{path} holds {values.dtype} values; an edge map has 8 or 16 bits")
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    if mode != "1":
        _check_depth(values, path)
    return values


def _read_grey(path: Path) -> tuple[np.ndarray, str]:
    """The grey values of an image, and Pillow's mode of it; alpha is passed over.

    Raises:
        ValueError: it cannot be read, is in colour, or its alpha alone differs between pixels.
    """
    try:
        values, mode, _ = stored_pixels(path, as_shown=True)
    except FileError as error:
        raise ValueError(f"{path} cannot be read as an image: {error.problem}") from error
    if mode == "P":
        values = palette_colours(path)
    if values.dtype == np.bool_:
        return values * np.uint8(255), "1"
    if values.ndim == 2:
        return values, mode
    grey = values[..., 0]
    if mode == "CMYK" or (values.shape[2] >= 3 and (values[..., :3] != grey[..., None]).any()):
        raise ValueError(f"{path} is a colour image; an edge map is grey, white on black")
    alpha = values[..., -1]
    if values.shape[2] in (2, 4) and (grey == grey[0, 0]).all() and (alpha != alpha[0, 0]).any():
        raise ValueError(f"{path} has its edges in its alpha; an edge map is grey, white on black")
    return grey, mode


def _check_depth(values: np.ndarray, path: Path) -> None:
    """Raises where values can hardly mean what they say: no edge would ever pass a threshold.

    They are refused and not scaled, as another map of the same folder may be empty or full, and
    all must be scaled alike. `detect` writes faint maps of blank images: its are let pass.
    """
    if not values.size or path.stem.endswith(".edges"):
        return
    highest = int(values.max())
    if values.dtype == np.uint8 and highest == 1:
        raise ValueError(f"{path} holds only 0 and 1, not 0 ... 255: write 255 where edges are")
    if values.dtype == np.uint16 and 0 < highest < 256:
        raise ValueError(
            f"{path} holds 0 ... {highest} of 0 ... 65535: write it in 8 bits, or times 257"
        )


def stored_edges(edges: Float32[np.ndarray, "h w"], form: EdgeFormat) -> EdgeArray:
    """Edges in [0, 1] as they are stored: float32, or of 255 or 65535 levels."""
    if form == "npy":
        return edges
    dtype = np.uint16 if form == "png16" else np.uint8
    return np.rint(edges * np.iinfo(dtype).max).astype(dtype)


def write_edge_map(edges: Float32[np.ndarray, "h w"], path: Path, form: EdgeFormat) -> None:
    """Write edges in [0, 1]: white is an edge. Errors: `trace_edges.files.write_atomically`."""
    stored = stored_edges(edges, form)
    (write_npy if form == "npy" else write_png)(stored, path)


def _read_array(path: Path) -> EdgeArray:
    try:
        values = load_array(path, "save (h, w) floats in [0, 1] with numpy.save")
    except FileError as error:
        raise ValueError(f"{path} cannot be read as an array: {error.problem}") from error
    if values.ndim == 3 and len(values) == 1:
        values = values[0]  # one image of a batch
    if values.ndim != 2:
        raise ValueError(f"{path} is an array of shape {values.shape}; an edge map is (h, w)")
    if values.dtype == np.bool_:
        return values.astype(np.float32)
    if values.dtype.str[1:] in ("u1", "u2"):
        values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
        _check_depth(values, path)
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"{path} holds {values.dtype} values; use floats in [0, 1] or uint8")
    return _unit_floats(values, path)


def _unit_floats(values: np.ndarray, path: Path) -> Float32[np.ndarray, "h w"]:
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"{path} has values outside [0, 1]: scale all maps in the same way")
    return values
