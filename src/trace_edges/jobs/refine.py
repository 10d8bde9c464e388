"""Masks of others cut at edges: of a COCO JSON, or of a folder of label maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trace_edges.edge_folder import EdgeFolder
from trace_edges.files import FileError, write_json, write_npy
from trace_edges.formats.coco import CocoMasks
from trace_edges.formats.entries import finite
from trace_edges.formats.labels import Masks, find_label_maps, read_masks, write_label_png
from trace_edges.formats.listing import Entry
from trace_edges.formats.truth import Finding
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.components import Edges, origin_of
from trace_edges.instances.refine import refine_instances
from trace_edges.jobs.collected import Collected, Progress, refine_images, write_settings
from trace_edges.jobs.finding import cutting_lines, uncut
from trace_edges.jobs.task import Outcome, Result, Subject, Task, TaskError
from trace_edges.outputs import Outputs

SETTINGS = "settings.json"


def refine_coco(
    masks: Path,
    edges: Path,
    out: Path,
    propagation: Propagation = PROPAGATION,
    *,
    iou: float = 0.5,
    split_parts: bool = False,
    images: Path | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Cut the masks of every image at its edges (`refine_instances`).

    Writes a JSON of the form that was given, annotations or a results list, and OUT.settings.json
    beside it. Ids and names of images and categories stay; masks are compressed RLE, and have
    scores where the file has any. Masks of two categories are not merged, crowds stay as they are,
    and swapped sizes of images are put right. Images that fail, and entries that are not sound, are
    left out.

    Args:
        masks: the JSON; see `read_coco_masks` for what is read.
        edges: folder of edge maps (`EdgeFolder`), by the stem of the image's file name, or by its
            id where no image is listed.
        out: another JSON.
        iou: above which overlapping masks are merged.
        split_parts: see `refine_instances`.
        images: a COCO JSON that lists the images, for a results list.
        progress: called after each image with how many are done, and how many there are.

    Returns:
        One outcome per image, and one for each entry that is not sound.

    Raises:
        ImportError: pycocotools is not installed.
        OSError: a file cannot be read or written.
        ValueError: a file is of another form, there are no edges, or `out` is an input or another
            file that is no result of refine.
    """
    read = [path for path in (masks, edges, images) if path is not None]
    outputs, beside = Outputs("refine", tuple(read)), out.with_suffix(".settings.json")
    outputs.check(out, beside)
    given, folder = CocoMasks(masks, images), EdgeFolder(edges)
    propagation = propagation.usual_for(origin_of(folder.made_with))
    refined: dict[str, list[Entry]] = {}
    unsound = list(given.findings)

    def take(name: str, result: Result) -> tuple[int, int]:
        refined[name], before, findings = result.value
        unsound.extend(findings)
        return before, len(refined[name])

    task = CutCocoMasks(propagation, iou, split_parts, given)
    outcomes = refine_images(given.ids, folder, task, Collected(take), progress)
    outcomes += [Outcome(one.problem, "failed", str(one)) for one in unsound]
    if refined:
        with outputs.writing():
            if odd := _write_coco(given.replaced(refined), masks, out):
                outcomes.append(odd)
            files = {"masks": masks, "edges": edges}
            write_settings(beside, files, task.settings, outcomes)
    return outcomes


def _write_coco(content: Any, masks: Path, out: Path) -> Outcome | None:
    """Writes it; what is odd, where keys that nobody reads here hold what JSON cannot."""
    try:
        write_json(content, out)
    except FileError:
        raise
    except ValueError:
        write_json(finite(content), out)
        problem = "has NaN or infinite numbers, which JSON cannot hold"
        odd = Finding(str(masks), problem, f"{out} has null in their place")
        return Outcome(odd.problem, "failed", str(odd))
    return None


@dataclass(frozen=True, eq=False)
class _Cut(Task):
    """Cuts masks of an image at its edges; see `refine_instances`."""

    propagation: Propagation
    iou: float
    split_parts: bool
    name = "refine"

    def describe(self) -> dict[str, Any]:
        return {"task": self.name, **self.settings}

    @property
    def settings(self) -> dict[str, Any]:
        """All that the cut depends on, plain JSON values."""
        settings = {"propagation": asdict(self.propagation), "iou": self.iou}
        return settings | ({"split_parts": True} if self.split_parts else {})

    def refined(self, masks: Any, lines: Edges, what: object) -> Any:
        """The masks, refined.

        Raises:
            TaskError: they do not fit the edges; the message names `what` they are of.
        """
        try:
            return refine_instances(
                masks,
                lines,
                propagation=self.propagation,
                iou=self.iou,
                split_parts=self.split_parts,
            )
        except ValueError as error:
            raise TaskError(f"{what}: {error}") from error


@dataclass(frozen=True, eq=False)
class CutCocoMasks(_Cut):
    """Cuts the masks of an image in a COCO JSON, category by category; its value are the entries of
    the refined ones, how many there were, and what is wrong with those that are no mask.
    """

    masks: CocoMasks

    def __call__(self, subject: Subject) -> Result:
        lines = cutting_lines(subject, self.propagation)
        entries: list[Entry] = []
        before = 0
        try:
            by_category, findings = self.masks.read_by_category(subject.key)
            for category, instances in by_category.items():
                refined = self.refined(instances, lines, subject.key)
                before += len(instances)
                entries += self.masks.entries(subject.key, category, refined)
        except (MemoryError, ValueError) as error:
            raise TaskError(" ".join(f"{subject.key}: {error}".split())) from error
        return Result(value=(entries, before, findings), notes=uncut(lines, self.propagation))


def refine_labels(
    masks: Path,
    edges: Path,
    out: Path,
    propagation: Propagation = PROPAGATION,
    *,
    iou: float = 0.5,
    split_parts: bool = False,
    progress: Progress | None = None,
    outputs: Outputs | None = None,
) -> list[Outcome]:
    """Cut the masks of every file of a folder at the edges of its image (`refine_instances`).

    Writes OUT/NAME.png, 16-bit labels numbered from 1, for label images, OUT/NAME.npy for arrays,
    and OUT/settings.json. Images that fail are left out.

    Args:
        masks: folder of NAME.png or NAME.tif (8- or 16-bit labels, palette, or RGB) and NAME.npy
            (integer (h, w) or boolean (n, h, w)); NAME.instances.png is of NAME as well. 0 is no
            instance, and so is void: what is negative, and 255 of 8 bits where there are other
            labels.
        edges: folder of edge maps (`EdgeFolder`).
        out: another folder.
        iou: above which overlapping masks are merged.
        split_parts: see `refine_instances`.
        progress: called after each image with how many are done, and how many there are.
        outputs: guard of what is written, which knows it afterwards.

    Returns:
        One outcome per image.

    Raises:
        OSError: a result cannot be written.
        ValueError: there are no masks or no edges, two files are of one image, or `out` is an
            input or holds a file that is no result of refine.
    """
    if not masks.is_dir():
        raise ValueError(f"{masks} is neither a COCO JSON nor a folder of label maps")
    outputs = outputs or Outputs("refine", (masks, edges))
    outputs.check(out / SETTINGS)
    paths = find_label_maps(masks)
    targets = {
        name: out / f"{name}{'.npy' if path.suffix.lower() == '.npy' else '.png'}"
        for name, path in paths.items()
    }
    outputs.check(*targets.values())
    folder = EdgeFolder(edges)

    def take(name: str, result: Result) -> tuple[int, int]:
        before, after = result.value
        with outputs.writing():
            write = write_label_png if targets[name].suffix == ".png" else write_npy
            write(after, targets[name])
        return _count(before), _count(after)

    propagation = propagation.usual_for(origin_of(folder.made_with))
    task = CutLabels(propagation, iou, split_parts, paths)
    outcomes = refine_images(paths, folder, task, Collected(take), progress)
    if not all(outcome.message for outcome in outcomes):
        with outputs.writing():
            write_settings(
                out / SETTINGS, {"masks": masks, "edges": edges}, task.settings, outcomes
            )
    return outcomes


@dataclass(frozen=True, eq=False)
class CutLabels(_Cut):
    """Cuts the masks of one file of a folder; its value are the masks before and after.

    Attributes:
        paths: the file of each image name.
    """

    paths: Mapping[str, Path]

    def __call__(self, subject: Subject) -> Result:
        path = self.paths[subject.key]
        lines = cutting_lines(subject, self.propagation)
        try:
            before = read_masks(path)
        except (OSError, ValueError) as error:
            raise TaskError(" ".join(str(error).split())) from error
        refined = self.refined(before, lines, path)
        return Result(value=(before, refined), notes=uncut(lines, self.propagation))


def _count(masks: Masks) -> int:
    if masks.dtype == np.bool_:
        stack = masks.reshape(-1, *masks.shape[-2:])
        return int(np.count_nonzero(stack.any(axis=(1, 2))))
    return len(np.setdiff1d(masks, [0]))
