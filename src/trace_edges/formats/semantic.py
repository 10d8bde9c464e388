"""Read semantic maps that networks made: which class each pixel is of.

Known are label images, as DHR and MARS write them, and integer arrays.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from trace_edges.files import FileError
from trace_edges.formats.arrays import load_array
from trace_edges.formats.folders import find_by_name
from trace_edges.formats.pixels import UNLABELLED, read_pixels

SUFFIXES = (".png", ".npy", ".tif", ".tiff")
_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
_MEND = "give class numbers of 0 (background) ... 254, and 255 or less than 0 where unknown"
_ARRAY = (
    "save one (h, w) array of integers with numpy.save; docs/trust.md has the lines that convert "
    "dictionaries of IRN"
)


def find_semantic_maps(folder: Path) -> dict[str, Path]:
    """The semantic maps of a folder, NAME.png or NAME.npy, by image name.

    Errors are those of `find_by_name`.
    """
    return find_by_name(folder, "semantic map", SUFFIXES)


def read_semantic(path: str | PathLike[str]) -> Int32[np.ndarray, "h w"]:
    """The class of every pixel: 0 is the background, `UNLABELLED` = 255 what is of no known class.

    Args:
        path: a palette or grey PNG or TIFF whose value is the class, or a .npy array (h, w) of
            integers. Pickles, as the dictionaries of IRN are, are not read.

    Raises:
        FileNotFoundError: there is none.
        FileError: a `ValueError` of one line: the file is damaged or holds something else.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        content = load_array(path, _ARRAY)
    else:
        content, _ = read_pixels(path, _MODES, "a semantic map is a palette or grey PNG")
    if content.ndim != 2 or content.dtype.kind not in "iub":
        raise FileError(path, f"holds {content.dtype} {content.shape}", f"a semantic map is one "
                      f"(h, w) array of integers: {_MEND}")  # fmt: skip
    if content.size and content.max() > UNLABELLED:
        raise FileError(path, f"has the class {content.max()}", _MEND)
    classes = content.astype(np.int32)
    return np.where(classes < 0, np.int32(UNLABELLED), classes)
