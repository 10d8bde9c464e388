"""Refine a folder of label maps, or of stacks of masks, one file per image."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from trace_edges.files import write_npy
from trace_edges.formats.labels import Masks, find_label_maps, read_masks, write_label_png
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

SETTINGS = "settings.json"


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
    if not masks.is_dir():
        raise ValueError(f"{masks} is neither a COCO JSON nor a folder of label maps")
    paths, folder = find_label_maps(masks), EdgeFolder(edges)

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
        else:
            write_npy(refined, target)
    if not all(outcome.message for outcome in outcomes):
        settings = {"propagation": asdict(propagation), "iou": iou}
        write_settings(out / SETTINGS, {"masks": masks, "edges": edges}, settings, outcomes)
    return outcomes


def _count(masks: Masks) -> int:
    if masks.dtype == np.bool_:
        stack = masks.reshape(-1, *masks.shape[-2:])
        return int(np.count_nonzero(stack.any(axis=(1, 2))))
    return len(np.setdiff1d(masks, [0]))
