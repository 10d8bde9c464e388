"""Write label maps as 16-bit grey PNGs, as cell and microscopy tools read them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from PIL import Image

from trace_edges.files import write_atomically
from trace_edges.formats.listing import OneOrMany, by_name, check_name
from trace_edges.results import InstanceMasks

LARGEST = 65535


def export_labels(masks: OneOrMany[InstanceMasks], folder: str | PathLike[str]) -> None:
    """Write FOLDER/NAME.png for every image name: 0 where no instance is, else 1 + its index.

    One result, several, or a mapping by image name; images of a list are 000001, 000002, ...
    Holes and parts are kept, scores are not. Where instances overlap, the smaller lies on top; a
    number is missing where others cover the whole of an instance. Errors: `write_label_png`, and a
    ValueError where a name is no plain file name.
    """
    masks = by_name(masks)
    for name in sorted(masks):
        check_name(name)
        write_label_png(masks[name].label_map, Path(folder) / f"{name}.png")


def write_label_png(labels: Integer[np.ndarray, "h w"], path: str | PathLike[str]) -> None:
    """Write a label map as a 16-bit grey PNG.

    Raises:
        OSError: the file cannot be written.
        ValueError: the map is no (h, w) of integers, or has labels that 16 bits cannot hold.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        held = f"{labels.dtype} {labels.shape}"
        raise ValueError(f"{path}: a label map is one (h, w) array of integers, not {held}")
    if labels.size and not (labels.min() >= 0 and labels.max() <= LARGEST):
        odd = labels.max() if labels.max() > LARGEST else labels.min()
        raise ValueError(
            f"{path}: label {odd} is not in 0 ... {LARGEST}, which 16 bits hold: number them anew"
        )
    with write_atomically(path) as temporary:
        Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint16)).save(temporary, "PNG")
