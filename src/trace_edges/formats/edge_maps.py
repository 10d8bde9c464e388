"""Edge maps that somebody's detector wrote: which files, and what is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from PIL import Image

EdgeArray = Float32[np.ndarray, "h w"] | UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]

SUFFIXES = (".png", ".npy", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp")


def find_edge_maps(folder: Path) -> dict[str, Path]:
    """The edge maps of a folder by image name; NAME.edges.png is the map of NAME.

    Where a folder holds results of `trace-edges detect`, its other pictures are left out.

    Raises:
        ValueError: there is no such folder, no map in it, or two of one image.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder of edge maps; check the path")
    maps: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        left_out = path.name.startswith(".") or path.name.endswith(".overlay.png")
        if left_out or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        name = path.stem.removesuffix(".edges")
        if name in maps:
            raise ValueError(f"{path}: {maps[name].name} is of the same image; remove one of them")
        maps[name] = path
    if not maps:
        raise ValueError(f"{folder} holds no edge map ({', '.join(SUFFIXES)})")
    return maps


def read_edge_map(path: Path) -> EdgeArray:
    """Edge strength of a file: (h, w) uint8 or uint16 as they are stored, or floats in [0, 1].

    Pictures are grey, or colour with equal channels; white is an edge.

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
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    if values.ndim == 3:
        grey = values[..., 0]
        if (values[..., :3] != grey[..., None]).any():
            raise ValueError(f"{path} is a colour picture; an edge map is grey, white on black")
        values = grey
    if values.dtype == np.int32 and values.size and 0 <= values.min() <= values.max() < 65536:
        values = values.astype(np.uint16)  # as older 16-bit files are read
    if values.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{path} holds {values.dtype} values; an edge map has 8 or 16 bits")
    return np.ascontiguousarray(values)


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
