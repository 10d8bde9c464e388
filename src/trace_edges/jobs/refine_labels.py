"""Refine a folder of label maps, or of stacks of masks, one file per image."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer

from trace_edges.files import FileError, write_atomically
from trace_edges.formats.labels import VOID, read_labels
from trace_edges.formats.labels_export import write_label_png
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.refine import refine_instances
from trace_edges.jobs.refine_images import (
    Done,
    EdgeFolder,
    ImageOutcome,
    Progress,
    one_by_one,
    write_settings,
)

SUFFIXES = (".png", ".npy")
SETTINGS = "settings.json"
_OTHERS = (".edges", ".overlay")  # results of `detect` and `segment` that are no labels

Masks = Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"] | Bool[np.ndarray, "n h w"]


def refine_labels(
    masks: Path,
    edges: Path,
    out: Path,
    propagation: Propagation = PROPAGATION,
    *,
    iou: float = 0.5,
    progress: Progress | None = None,
) -> list[ImageOutcome]:
    """Cut the masks of every file of a folder at the edges of its image (`refine_instances`).

    Writes OUT/NAME.png, 16-bit labels numbered from 1, for label pictures, OUT/NAME.npy for arrays,
    and OUT/settings.json. Images that fail are left out.

    Args:
        masks: folder of NAME.png (8- or 16-bit labels, palette, or RGB) and NAME.npy (integer
            (h, w) or boolean (n, h, w)); NAME.instances.png is of NAME as well. 0 is no instance,
            and so is void: what is negative, and 255 of 8 bits where there are other labels.
        edges: folder of edge maps (`EdgeFolder`).
        out: another folder.
        iou: above which overlapping masks are merged.
        progress: called after each image with how many are done, and how many there are.

    Returns:
        One outcome per image.

    Raises:
        OSError: a result cannot be written.
        ValueError: there are no masks or no edges, two files are of one image, or `out` is `masks`.
    """
    if out.resolve() == masks.resolve():
        raise ValueError(f"{out} holds the masks that are to be refined: give another folder")
    paths, folder = find_masks(masks), EdgeFolder(edges)

    def work(name: str) -> Done[Masks]:
        before = read_masks(paths[name])
        try:
            lines = folder.read_lines(name, propagation)
            after = refine_instances(before, lines, propagation=propagation, iou=iou)
        except ValueError as error:
            raise ValueError(f"{paths[name]}: {error}") from error
        return Done(after, _count(before), _count(after))

    outcomes: list[ImageOutcome] = []
    for name, refined in one_by_one(paths, work, outcomes, progress):
        target = out / f"{name}{paths[name].suffix.lower()}"
        if target.suffix == ".png":
            write_label_png(refined, target)
            continue
        with write_atomically(target) as temporary:
            np.save(temporary, refined)
    if not all(outcome.message for outcome in outcomes):
        settings = {"propagation": asdict(propagation), "iou": iou}
        write_settings(out / SETTINGS, {"masks": masks, "edges": edges}, settings, outcomes)
    return outcomes


def find_masks(folder: Path) -> dict[str, Path]:
    """The label maps of a folder by image name.

    Raises:
        ValueError: there is no such folder, no label map in it, or two of one image.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is neither a COCO JSON nor a folder of label maps")
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        left_out = path.name.startswith(".") or path.stem.endswith(_OTHERS)
        if left_out or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        name = path.stem.removesuffix(".instances")
        if name in paths:
            raise ValueError(f"{path}: {paths[name].name} is of the same image; remove one of them")
        paths[name] = path
    if not paths:
        raise ValueError(f"{folder} holds no label map ({', '.join(SUFFIXES)})")
    return paths


def read_masks(path: Path) -> Masks:
    """Labels (h, w) in which 0 is no instance, or a stack of masks (n, h, w).

    Raises:
        ValueError: the file is damaged or holds something else.
    """
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    (segments,) = read_labels(path)
    labels, void = segments.labels, segments.void
    if np.array_equal(labels != 0, void) and (labels[void] == VOID).all():
        return labels  # black and white: a drawn mask, of which 255 is the inside
    return np.where(void, 0, labels)


def _read_npy(path: Path) -> Masks:
    mend = "save integers (h, w) or booleans (n, h, w) with numpy.save"
    try:
        values = np.load(path, allow_pickle=False)
    except (EOFError, ValueError) as error:
        raise FileError(path, f"cannot be loaded ({error})", mend) from error
    if not isinstance(values, np.ndarray):
        raise FileError(path, "holds an archive", mend)
    if values.dtype == np.bool_ and values.ndim in (2, 3):
        return values
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise FileError(path, f"holds {values.dtype} {values.shape}", mend)
    return np.maximum(values, 0)


def _count(masks: Masks) -> int:
    if masks.dtype == np.bool_:
        stack = masks.reshape(-1, *masks.shape[-2:])
        return int(np.count_nonzero(stack.any(axis=(1, 2))))
    return len(np.setdiff1d(masks, [0]))
