"""Label maps and drawn boundary maps, one file per image: read, and written as PNG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer

from trace_edges.files import FileError
from trace_edges.formats.arrays import load_array
from trace_edges.formats.folders import find_by_name
from trace_edges.formats.labelled import (
    Labelled,
    LabelledSet,
    Mark,
    Reading,
    Writing,
    finding_of,
    flattened,
    given,
)
from trace_edges.formats.listing import OneOrMany, bare
from trace_edges.formats.pixels import UNLABELLED, colour_ids, read_pixels, write_png
from trace_edges.formats.truth import Finding, Segments, refusal, refused
from trace_edges.results import InstanceMasks

Masks = Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"] | Bool[np.ndarray, "n h w"]

LARGEST = 65535  # number of an instance in a 16-bit label PNG
SUFFIXES = (".png", ".npy", ".tif", ".tiff")  # of label maps
EDGE, IGNORED = 255, 127  # of drawn boundary maps
_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "RGB")


def read_labels(path: str | PathLike[str]) -> list[Segments]:
    """The segments of a label map; one annotator.

    A label is the grey value, the palette index, R + 256 G + 65536 B, or the number in a .npy
    file. Void is 255 where there are 8 bits (grey or palette), unless 254 is there too, so that
    the numbers run up to 255; elsewhere void is what is negative. 0 is a segment like any other,
    as a background is.

    Args:
        path: PNG or TIFF of 1 to 16 bits of grey, a palette or RGB; 32-bit TIFF; .npy (h, w).

    Raises:
        GroundTruthError: the file is missing, damaged, or no label map.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        values, mode = _read_npy(path), "npy"
    else:
        with refused(path):
            values, mode = read_pixels(path, _MODES, "a label map is grey, palette or RGB")
    if mode == "RGB":
        values = colour_ids(values)
    limits = np.iinfo(np.int32)
    if values.size and not limits.min <= values.min() <= values.max() <= limits.max:
        raise refusal(path, "has labels of more than 31 bits", "number the segments from 0")
    labels = values.astype(np.int32)
    return [Segments(labels, _void(labels) if mode in ("L", "P") else labels < 0)]


def _void(labels: Integer[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Where 8 bits have no label: at 255, but not in a map that is numbered up to 255."""
    unlabelled = labels == UNLABELLED
    numbered = (labels == UNLABELLED - 1).any()
    return np.zeros_like(unlabelled) if numbered else unlabelled


def read_drawn(path: str | PathLike[str]) -> list[Segments]:
    """A drawn edge map: 255 is an edge, 127 is void, 0 is neither; the labels are all 0.

    Raises:
        GroundTruthError: the file is missing or damaged, is not 8-bit grey, has other values, or is
            mostly white, as the negative of an edge map is.
    """
    path = Path(path)
    with refused(path):
        values, mode = read_pixels(path, ("1", "L"), "a drawn edge map is 8-bit grey")
    values = values * np.uint8(EDGE) if mode == "1" else values
    others = np.setdiff1d(values, (0, IGNORED, EDGE))
    if others.size:
        problem = f"has the value {others[0]}, and a drawn edge map has 0, 127 (void), 255 (edge)"
        raise refusal(path, problem, "cut it at a threshold, or give it as labels")
    edges = values == EDGE
    if 2 * np.count_nonzero(edges) > edges.size:
        raise refusal(path, "is mostly white, and white is an edge", "invert it (255 - x)")
    return [Segments(np.zeros(values.shape, dtype=np.int32), values == IGNORED, edges)]


def write_drawn(
    boundaries: Bool[np.ndarray, "h w"],
    ignore: Bool[np.ndarray, "h w"] | None,
    path: str | PathLike[str],
) -> None:
    """Write boundaries as `read_drawn` reads them: 255 an edge, 127 ignored, 0 neither."""
    drawn = np.zeros(boundaries.shape, dtype=np.uint8)
    if ignore is not None:
        drawn[ignore] = IGNORED
    drawn[boundaries] = EDGE
    write_png(drawn, path)


def find_label_maps(folder: Path) -> dict[str, Path]:
    """The label maps of a folder by image name: NAME.png, NAME.npy, NAME.instances.png.

    Other results of `detect` and `segment` are passed over. Errors: `find_by_name`.
    """
    return find_by_name(
        folder, "label map", SUFFIXES, of=".instances", without=(".edges", ".overlay")
    )


def read_masks(path: Path) -> Masks:
    """Labels (h, w) in which 0 is no instance, or a stack of masks (n, h, w).

    Raises:
        ValueError: the file is damaged or holds something else.
    """
    if path.suffix.lower() == ".npy":
        return _read_masks_npy(path)
    (segments,) = read_labels(path)
    labels, void = segments.labels, segments.void
    if np.array_equal(labels != 0, void) and (labels[void] == UNLABELLED).all():
        return labels  # black and white: a drawn mask, of which 255 is the inside
    return np.where(void, 0, labels)


def export_labels(masks: OneOrMany[InstanceMasks], folder: str | PathLike[str]) -> None:
    """Write FOLDER/NAME.png for every image name: 0 where no instance is, else 1 + its index.

    One result, several, or a mapping by image name; images of a list are 000001, 000002, ...
    Holes and parts are kept, scores are not. Where instances overlap, the smaller lies on top; a
    number is missing where others cover the whole of an instance. Errors: `write_label_png`, and a
    ValueError where a name leads out of the folder of results.
    """
    images, categories = given(masks)
    write_label_maps(images, Writing(Path(folder), categories))


def write_label_maps(images: Iterable[Labelled], writing: Writing) -> list[Path]:
    """Write OUT/NAME.png for every image: 0 where no mask is, else 1 + its place among them. Where
    masks overlap, the smaller lies on top.
    """
    for image in images:
        if len(image.masks) > LARGEST:
            raise ValueError(f"{image.name}: has more than {LARGEST} masks: take fewer")
        ids = flattened(image, range(1, len(image.masks) + 1), writing)
        write_label_png(ids, writing.out / f"{bare(image.name)}.png")
    return [writing.out]


def read_label_maps(path: Path, reading: Reading) -> LabelledSet:
    """The numbers of every label map of a folder as masks.

    Raises:
        ValueError: there is none.
    """
    files = {path.stem: path} if path.is_file() else find_label_maps(path)
    return LabelledSet((), _images(files))


def _images(files: dict[str, Path]) -> Iterator[Labelled | Finding]:
    for name, file in files.items():
        try:
            values = read_masks(file)
            stack = values.ndim == 3
            masks = InstanceMasks(values) if stack else InstanceMasks.from_labels(values)
        except (ValueError, OSError) as error:
            yield finding_of(error, file)
            continue
        yield Labelled(name, masks, (Mark(),) * len(masks))


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
            f"{path}: label {odd} is not in 0 ... {LARGEST}, which 16 bits hold: renumber them"
        )
    write_png(np.ascontiguousarray(labels, dtype=np.uint16), path)


def _read_masks_npy(path: Path) -> Masks:
    mend = "save integers (h, w) or booleans (n, h, w) with numpy.save"
    values = load_array(path, mend)
    if values.dtype == np.bool_ and values.ndim in (2, 3):
        return values
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise FileError(path, f"holds {values.dtype} {values.shape}", mend)
    return np.maximum(values, 0)


def _read_npy(path: Path) -> Integer[np.ndarray, "h w"]:
    with refused(path):
        values = load_array(path, "save one (h, w) array of integers with numpy.save")
    if values.ndim != 2 or values.dtype.kind not in "iub":
        held = f"{values.dtype} {values.shape}"
        raise refusal(path, f"holds {held}", "a label map is one (h, w) array of integers")
    return values
