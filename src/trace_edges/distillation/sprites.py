"""Sprites: small images of objects on a transparent background, which are pasted onto others."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from trace_edges.files import FileError
from trace_edges.images.opening import decoding, open_file, open_pillow

Sprite = UInt8[np.ndarray, "s s 4"]

_SUFFIXES = (".png", ".webp")


def read_sprites(
    source: str | PathLike[str], rows: str | PathLike[str] | None = None
) -> dict[str, Sprite]:
    """Sprites by name, in the order of their names.

    Args:
        source: a folder of PNG or WebP images with an alpha channel, or an npz archive with `x`
            (n, s, s, 4) uint8 RGBA and `n` (n,) names.
        rows: npy file with the rows of an archive that may be used.

    Returns:
        Squares, RGBA with straight alpha; an image that is none is padded to one.

    Raises:
        FileError: there are no sprites, or an image has no transparent background.
    """
    source = Path(source)
    found = _from_archive(source, rows) if source.suffix == ".npz" else _from_folder(source)
    if not found:
        raise FileError(source, "holds no sprite", "give a folder of PNG or WebP pictures")
    return dict(sorted(found.items()))


def _from_archive(path: Path, rows: str | PathLike[str] | None) -> dict[str, Sprite]:
    with np.load(path, allow_pickle=False) as archive:
        if not {"x", "n"} <= set(archive.files):
            raise FileError(path, "lacks x (RGBA) or n (names)", "give an archive that has both")
        names, images = archive["n"], archive["x"]
    if rows is not None:
        chosen = np.load(rows, allow_pickle=False)
        if chosen.size and chosen.max() >= len(names):
            raise FileError(
                Path(rows), f"has a row beyond {path}", "give the list that was made for it"
            )
        names, images = names[chosen], images[chosen]
    return {str(name): image for name, image in zip(names, images, strict=True)}


def _from_folder(folder: Path) -> dict[str, Sprite]:
    if not folder.is_dir():
        raise FileError(folder, "is neither a folder nor an npz archive", "give one of the two")
    paths = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES]
    return {path.stem: _read(path) for path in paths}


def _read(path: Path) -> Sprite:
    with open_file(path, str(path)) as file, decoding(str(path)):
        pixels = np.asarray(open_pillow(file, str(path)).convert("RGBA"))
    if (pixels[..., 3] == 255).all():
        raise FileError(
            path, "has no transparent background", "cut the object out, or leave the picture out"
        )
    missing = [max(pixels.shape[:2]) - side for side in pixels.shape[:2]]
    padding = [(m // 2, m - m // 2) for m in missing]
    return np.pad(pixels, (*padding, (0, 0)))
