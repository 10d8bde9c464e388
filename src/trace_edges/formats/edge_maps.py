"""Edge maps in files, as `detect` and the detectors of others write them: found, read, written."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from PIL import Image

from trace_edges.files import IMAGE_SUFFIXES, write_npy
from trace_edges.formats.folders import find_by_name
from trace_edges.formats.pixels import write_png

EdgeArray = Float32[np.ndarray, "h w"] | UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]

EdgeFormat = Literal["png", "png16", "npy"]  # 8 or 16 bits of grey, or float32 in [0, 1]

SUFFIXES = (".png", ".npy", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp")


def find_edge_maps(folder: Path) -> dict[str, Path]:
    """The edge maps of a folder by image name; NAME.edges.png is the map of NAME.

    Where a folder holds results of `trace-edges detect`, its overlays are left out.

    Raises:
        ValueError: there is no such folder, no map in it, or two of one image.
    """
    return find_by_name(folder, "edge map", SUFFIXES, of=".edges", without=(".overlay",))


class EdgeMaps:
    """The edge maps of a folder, found by the name of their image.

    The map of an image that is called day1/cat, since there are several cats, is that of cat in the
    folder day1 below; or that of day1_cat, as `trace-edges detect` calls it.

    Attributes:
        folder: where they are.
        paths: those in the folder itself (`find_edge_maps`), which may hold folders only.

    Raises:
        ValueError: as `find_edge_maps`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._below: dict[str, dict[str, Path]] = {}
        folders = folder.is_dir() and any(path.is_dir() for path in folder.iterdir())
        try:
            self.paths = find_edge_maps(folder)
        except ValueError:
            if not folders or any(path.suffix.lower() in SUFFIXES for path in folder.iterdir()):
                raise
            self.paths = {}

    def get(self, name: str) -> Path | None:
        """The map of an image; None where there is none.

        Raises:
            ValueError: a folder below holds two of one image.
        """
        below, _, stem = name.rpartition("/")
        if name in self.paths or not below or ".." in below.split("/"):
            return self.paths.get(name)
        flat = name.replace("/", "_")
        for one in (flat, *(flat + suffix for suffix in IMAGE_SUFFIXES)):
            if one in self.paths:
                return self.paths[one]
        if below not in self._below:
            there = (self.folder / below).is_dir()
            self._below[below] = find_edge_maps(self.folder / below) if there else {}
        return self._below[below].get(stem)


def read_edge_map(path: Path) -> EdgeArray:
    """Edge strength of a file: (h, w) uint8 or uint16 as they are stored, or floats in [0, 1].

    Images are grey, or colour with equal channels; white is an edge.

    Raises:
        ValueError: the file cannot be read, or holds something else.
    """
    if path.suffix.lower() == ".npy":
        return _read_array(path)
    try:
        with Image.open(path) as image:
            plain = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
            values = np.asarray(image.convert(plain))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    if values.ndim == 3:
        grey = values[..., 0]
        if (values[..., :3] != grey[..., None]).any():
            raise ValueError(f"{path} is a colour image; an edge map is grey, white on black")
        values = grey
    if values.dtype == np.int32 and values.size and 0 <= values.min() <= values.max() < 65536:
        values = values.astype(np.uint16)  # as older 16-bit files are read
    if values.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{path} holds {values.dtype} values; an edge map has 8 or 16 bits")
    return np.ascontiguousarray(values)


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
        values = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as an array: {error}") from error
    if values.ndim == 3 and len(values) == 1:
        values = values[0]  # one image of a batch
    if values.ndim != 2:
        raise ValueError(f"{path} is an array of shape {values.shape}; an edge map is (h, w)")
    if values.dtype == np.bool_:
        return values.astype(np.float32)
    if values.dtype in (np.uint8, np.uint16):
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"{path} holds {values.dtype} values; use floats in [0, 1] or uint8")
    values = values.astype(np.float32)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"{path} leaves [0, 1]: scale all maps by one rule")
    return values
