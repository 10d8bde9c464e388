"""Checks of a COCO JSON, its panoptic PNGs and its masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32
from pydantic import TypeAdapter, ValidationError

from trace_edges.formats import coco_truth
from trace_edges.formats.coco_file import image_names
from trace_edges.formats.coco_masks import checked_runs
from trace_edges.formats.coco_models import (
    ANNOTATION,
    LISTED_CATEGORY,
    PANOPTIC_ANNOTATION,
    PANOPTIC_CATEGORY,
    TRUE_IMAGE,
    Annotation,
    PanopticAnnotation,
    TrueImage,
)
from trace_edges.formats.entries import listed, sound_entries
from trace_edges.formats.folders import list_files
from trace_edges.formats.listing import Entry
from trace_edges.formats.truth import Finding, GroundTruthError, Inspection, Severity, Size
from trace_edges.formats.values import BOX, Key

Flaw = Callable[..., Finding]


def inspect_coco(kind: str, path: Path, content: Entry) -> Inspection:
    """Findings on the JSON itself, and what inspects its PNGs or masks."""
    findings: list[Finding] = []
    panoptic = kind == "coco-panoptic"
    images: dict[Key, TrueImage] = _by_id(TRUE_IMAGE, content, "images", path, findings)
    category: TypeAdapter[Any] = PANOPTIC_CATEGORY if panoptic else LISTED_CATEGORY
    categories = _by_id(category, content, "categories", path, findings)
    model: TypeAdapter[Any] = PANOPTIC_ANNOTATION if panoptic else ANNOTATION
    annotations, unsound = sound_entries(model, content, "annotations", path)
    findings += unsound
    try:
        names = image_names({key: image.file_name for key, image in images.items()}, str(path))
    except GroundTruthError as error:
        names = {key: Path(image.file_name).stem for key, image in images.items()}
        findings.append(error.finding)
    annotated = {annotation.image_id for annotation in annotations}
    if strange := annotated - images.keys():
        problem = f"`images` lacks images that annotations name: {listed(strange)}"
        findings.append(Finding(str(path), problem, "add the images or remove the annotations"))
    bare = [image for key, image in images.items() if key not in annotated]
    if bare:
        problem = f"images without annotation: {len(bare)}, {bare[0].file_name} first"
        mend = "remove them" if panoptic else "remove them, unless nothing is in them"
        severity: Severity = "error" if panoptic else "warning"
        findings.append(Finding(str(path), problem, mend, severity))
    if panoptic:
        return _inspect_panoptic_json(path, annotations, (images, names), categories, findings)
    if twice := _repeated(annotation.id for annotation in annotations):
        problem = f"ids that two annotations have: {listed(twice)}"
        findings.append(Finding(str(path), problem, "renumber the annotations"))
    own = defaultdict(list)
    for annotation in annotations:
        own[annotation.image_id].append(annotation)
    inspections = {
        names[key]: partial(_inspect_instances, own[key], image, categories, str(path))
        for key, image in images.items()
    }
    return Inspection(findings, inspections)


def _by_id(
    model: TypeAdapter[Any], content: Entry, key: str, path: Path, findings: list[Finding]
) -> dict[Key, Any]:
    """The sound entries of a list by id; what is wrong with it goes to `findings`."""
    entries, unsound = sound_entries(model, content, key, path)
    findings += unsound
    if twice := _repeated(entry.id for entry in entries):
        problem = f"ids that come twice in `{key}`: {listed(twice)}"
        findings.append(Finding(str(path), problem, "give each entry an id of its own"))
    return {entry.id: entry for entry in entries}


def _inspect_panoptic_json(
    path: Path,
    annotations: Sequence[PanopticAnnotation],
    known: tuple[dict[Key, TrueImage], dict[Key, str]],
    categories: Collection[Key],
    findings: list[Finding],
) -> Inspection:
    images, names = known
    if twice := _repeated(annotation.image_id for annotation in annotations):
        problem = f"images with two annotations: {listed(twice)}"
        findings.append(Finding(str(path), problem, "keep one of them"))
    try:
        folder = coco_truth.png_folder(path)
    except GroundTruthError as error:
        return Inspection([*findings, error.finding])
    named = {annotation.file_name for annotation in annotations}
    pngs = list_files(folder, coco_truth.PNG, recursive=folder != path.parent)
    below = [png.relative_to(folder).as_posix() for png in pngs]
    unnamed = [name for name in below if name not in named]
    if unnamed:
        problem = f"PNGs that are not in {path.name}: {len(unnamed)}, {unnamed[0]} first"
        mend = "add their annotations or remove them"
        findings.append(Finding(str(folder), problem, mend, "warning"))
    inspections = {}
    for annotation in annotations:
        image = images.get(annotation.image_id)
        png = folder / annotation.file_name
        name = names.get(annotation.image_id, Path(annotation.file_name).stem)
        inspections[name] = partial(_inspect_panoptic, png, annotation, image, categories)
    return Inspection(findings, inspections)


def _inspect_panoptic(
    png: Path,
    annotation: PanopticAnnotation,
    image: TrueImage | None,
    categories: Collection[Key],
) -> tuple[Size, list[Finding]]:
    ids = coco_truth.read_panoptic(png)
    return ids.shape, [*_panoptic_flaws(ids, png, annotation, image, categories)]


def _panoptic_flaws(
    ids: Int32[np.ndarray, "h w"],
    png: Path,
    annotation: PanopticAnnotation,
    image: TrueImage | None,
    categories: Collection[Key],
) -> Iterator[Finding]:
    flaw = partial(Finding, str(png))
    segments, unsound = coco_truth.sound_segments(annotation.segments_info, png)
    yield from unsound
    height, width = ids.shape
    if image is not None and image.size != ids.shape:
        own = f"{image.width} x {image.height} px"
        problem = f"is {width} x {height} px, and its image {own} in the JSON"
        yield flaw(problem, "mend the numbers, or bring it to that size by nearest neighbour")
    values, counts = np.unique(ids, return_counts=True)
    drawn = dict(zip(values.tolist(), counts.tolist(), strict=True))
    drawn.pop(0, None)  # void
    infos = {segment.id: segment for segment in segments}
    if twice := _repeated(segment.id for segment in segments):
        yield flaw(f"ids that come twice in segments_info: {listed(twice)}", _IDS)
    if 0 in infos:
        yield flaw("segments_info lists the id 0, which is void", _IDS)
    if unlisted := drawn.keys() - infos.keys():
        yield flaw(f"ids in the PNG but not in the JSON: {listed(unlisted)}", _IDS)
    undrawn = infos.keys() - drawn.keys() - {0}
    crowds = {key for key in undrawn if infos[key].iscrowd}
    if undrawn - crowds:
        yield flaw(f"ids in the JSON but not in the PNG: {listed(undrawn - crowds)}", _IDS)
    if crowds:
        problem = f"crowds in the JSON without a pixel in the PNG: {listed(crowds)}"
        mend = "none is needed where they are void in the PNG; otherwise draw them"
        yield flaw(problem, mend, "warning")
    if unknown := {segment.category_id for segment in segments} - set(categories):
        yield flaw(f"category ids that `categories` lacks: {listed(unknown)}", _CATEGORY)
    for key, segment in infos.items():
        if key in drawn and segment.area not in (None, drawn[key]):
            problem = f"segment {key} has area {segment.area:g} in the JSON, {drawn[key]} drawn"
            yield flaw(problem, "write the drawn one", "warning")
        yield from _box_flaws(f"the box of segment {key}", segment.bbox, height, width, flaw)


def _inspect_instances(
    annotations: Sequence[Annotation], image: TrueImage, categories: Collection[Key], path: str
) -> tuple[Size, list[Finding]]:
    flaws = [flaw for one in annotations for flaw in _mask_flaws(one, image, categories, path)]
    return image.size, flaws


def _mask_flaws(
    annotation: Annotation, image: TrueImage, categories: Collection[Key], path: str
) -> Iterator[Finding]:
    height, width = image.size
    flaw = partial(Finding, f"annotation {annotation.id} of {image.file_name}")
    if annotation.category_id not in categories:
        yield flaw(f"`categories` lacks its category {annotation.category_id}", _CATEGORY)
    yield from _box_flaws("its box", annotation.bbox, height, width, flaw)
    try:
        pixels = int(checked_runs(annotation, image.size, path)[1::2].sum())
    except GroundTruthError as error:
        yield error.finding
        return
    if not pixels:
        yield flaw("its mask is empty", "draw it again or remove it", "warning")
    area = pixels if annotation.area is None else annotation.area
    tolerance = 0.5  # areas are counted, and perhaps written as floats
    if not annotation.encoded:
        points = [np.reshape(polygon, (-1, 2)) for polygon in annotation.segmentation]
        boxes = [(*p.min(0), *np.ptp(p, axis=0)) for p in points]
        if any(_leaves(box, height, width) for box in boxes):
            mend = "cut it at the frame, or give the size of the image it was drawn on"
            yield flaw("its polygon leaves the image", mend, "warning")
        # COCO gives the area of the polygon, from which its pixels differ along the outline.
        tolerance = 4 + sum(np.abs(np.diff(p, axis=0, append=p[:1])).sum() for p in points)
    if abs(area - pixels) > tolerance:
        yield flaw(f"has area {area:g}, and its mask {pixels} px", "write the latter", "warning")


_IDS = "list every segment of the PNG once, with the id it is drawn in, and void (0) not at all"
_CATEGORY = "add the category or mend the id"


def _box_flaws(name: str, box: Any, height: int, width: int, flaw: Flaw) -> Iterator[Finding]:
    mend = "give [x, y, width, height] in pixels of this image"
    if box is None:
        return
    try:
        leaves = _leaves(BOX.validate_python(box), height, width)
    except ValidationError:
        yield flaw(f"{name} is not [x, y, width, height]", mend)
        return
    if leaves:
        yield flaw(f"{name} leaves the image", mend, "warning")


def _leaves(box: Sequence[float], height: int, width: int) -> bool:
    """Whether a box [x, y, width, height] leaves the image by more than a pixel."""
    x, y, across, down = box
    return min(x, y) < -1 or x + across > width + 1 or y + down > height + 1


def _repeated(ids: Iterable[Key]) -> list[Key]:
    return [one for one, times in Counter(ids).items() if times > 1]
