"""The files of a data set: found by the stem of their names, opened whole or refused by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, ImageFile

from trace_edges.formats import pixels
from trace_edges.formats.findings import Finding, GroundTruthError, Size, refusal, refused

PNG = (".png",)
LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".npy")
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width


def list_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The visible files of a folder with one of the suffixes, sorted."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def by_stem(paths: Iterable[Path]) -> tuple[dict[str, Path], list[Finding]]:
    """The first file of every stem, and what is wrong with the others."""
    files: dict[str, Path] = {}
    clashes = []
    for path in paths:
        first = files.setdefault(path.stem, path)
        if first is not path:
            problem = f"{first.name} has the same stem, which is the name of an image"
            clashes.append(Finding(str(path), problem, "remove or rename one of the two"))
    return files, clashes


def annotation_files(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """The annotation file of every image of a folder, by stem.

    Raises:
        GroundTruthError: there is none, or two have one stem.
    """
    files, clashes = by_stem(list_files(folder, suffixes))
    if clashes:
        raise GroundTruthError(clashes[0])
    if not files:
        raise refusal(
            folder, f"holds no file of {', '.join(suffixes)}", "give the folder they are in"
        )
    return files


@contextmanager
def open_picture(path: Path) -> Iterator[ImageFile.ImageFile]:
    """The picture, not decoded yet.

    Raises:
        GroundTruthError: it is missing, is no picture, or turns out to be damaged.
    """
    with refused(path), pixels.open_picture(path) as image:
        yield image


def read_pixels(path: Path, modes: Collection[str], kind: str) -> tuple[np.ndarray, str]:
    """Pixels as they are stored, palette indices included, with Pillow's mode.

    Args:
        path: a picture that Pillow opens.
        modes: the modes that will do.
        kind: what such a picture is, as a sentence: "a VOC annotation is a palette PNG".

    Raises:
        GroundTruthError: as in `open_picture`; the mode is another; values have been lost in a
            JPEG, or would be, as Pillow keeps 8 of 16 bits a colour.
    """
    with refused(path):
        return pixels.read_pixels(path, modes, kind)


def upright_size(path: Path) -> Size:
    """Height and width of a photograph, its EXIF orientation applied; errors: `open_picture`."""
    with open_picture(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation) in _TURNED
        return (width, height) if turned else (height, width)
