"""Checks of a COCO JSON, its panoptic PNGs and its masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

import trace_edges.formats.coco_truth as coco
from trace_edges.formats.folders import by_stem, list_files
from trace_edges.formats.listing import Entry
from trace_edges.formats.truth import Finding, GroundTruthError, Inspection, Severity, Size

_MANY = 5  # ids that a line lists


def inspect_coco(kind: str, path: Path, content: Entry) -> Inspection:
    """Findings on the JSON itself, and what inspects its PNGs or masks."""
    findings: list[Finding] = []
    images = _by_id(content, "images", coco.SIZED_IMAGE_KEYS, path, findings)
    categories = _by_id(content, "categories", ("id",), path, findings)
    panoptic = kind == "coco-panoptic"
    needed = coco.PANOPTIC_KEYS if panoptic else coco.INSTANCE_KEYS
    annotations, unsound = coco.sound_entries(content, "annotations", needed, path)
    findings += unsound
    findings += by_stem(Path(image["file_name"]) for image in images.values())[1]
    strange = {entry["image_id"] for entry in annotations} - images.keys()
    if strange:
        problem = f"`images` lacks what annotations belong to: {_listed(strange)}"
        findings.append(Finding(str(path), problem, "add the images or remove the annotations"))
    annotated = {entry["image_id"] for entry in annotations}
    bare = [image for key, image in images.items() if key not in annotated]
    if bare:
        problem = f"images without annotation: {len(bare)}, {bare[0]['file_name']} first"
        mend = "remove them" if panoptic else "remove them, unless nothing is in them"
        severity: Severity = "error" if panoptic else "warning"
        findings.append(Finding(str(path), problem, mend, severity))
    if panoptic:
        return _inspect_panoptic_json(path, annotations, images, categories, findings)
    return _inspect_instances_json(path, annotations, images, categories, findings)


def _by_id(
    content: Entry, key: str, needed: Sequence[str], path: Path, findings: list[Finding]
) -> dict[Any, Entry]:
    """The sound entries of a list by id; what is wrong with it goes to `findings`."""
    entries, unsound = coco.sound_entries(content, key, needed, path)
    findings += unsound
    twice = _repeated(entry["id"] for entry in entries)
    if twice:
        problem = f"ids that come twice in `{key}`: {_listed(twice)}"
        findings.append(Finding(str(path), problem, "give each entry an id of its own"))
    return {entry["id"]: entry for entry in entries}


def _inspect_panoptic_json(
    path: Path,
    annotations: list[Entry],
    images: dict[Any, Entry],
    categories: dict[Any, Entry],
    findings: list[Finding],
) -> Inspection:
    kindless = [key for key, category in categories.items() if "isthing" not in category]
    if kindless:
        problem = f"categories that say not whether they are things: {_listed(kindless)}"
        findings.append(Finding(str(path), problem, "give them isthing, 0 or 1"))
    twice = _repeated(entry["image_id"] for entry in annotations)
    if twice:
        problem = f"images with two annotations: {_listed(twice)}"
        findings.append(Finding(str(path), problem, "keep one of them"))
    try:
        folder = coco.png_folder(path)
    except GroundTruthError as error:
        return Inspection([*findings, error.finding])
    named = {entry["file_name"] for entry in annotations}
    unnamed = [png.name for png in list_files(folder, coco.PNG) if png.name not in named]
    if unnamed:
        problem = f"PNGs that are not in {path.name}: {len(unnamed)}, {unnamed[0]} first"
        mend = "add their annotations or remove them"
        findings.append(Finding(str(folder), problem, mend, "warning"))
    inspections = {}
    for entry in annotations:
        inspect = partial(
            _inspect_panoptic,
            folder / entry["file_name"],
            entry["segments_info"],
            images.get(entry["image_id"]),
            categories.keys(),
        )
        inspections[coco.image_name(entry, images)] = inspect
    return Inspection(findings, inspections)


def _inspect_panoptic(
    png: Path, segments: list[Entry], image: Entry | None, categories: Collection[Any]
) -> tuple[Size, list[Finding]]:
    ids = coco.read_panoptic(png)
    return ids.shape, [*_panoptic_flaws(ids, png, segments, image, categories)]


def _panoptic_flaws(
    ids: Int32[np.ndarray, "h w"],
    png: Path,
    listed: list[Entry],
    image: Entry | None,
    categories: Collection[Any],
) -> Iterator[Finding]:
    flaw = partial(Finding, str(png))
    segments, unsound = coco.sound_entries(
        {"segments_info": listed}, "segments_info", ("id", "category_id"), png
    )
    yield from unsound
    height, width = ids.shape
    if image is not None and (image["height"], image["width"]) != ids.shape:
        own = f"{image['width']} x {image['height']} px"
        problem = f"is {width} x {height} px, and its image {own} in the JSON"
        yield flaw(problem, "mend the numbers, or bring it to that size by nearest neighbour")
    values, counts = np.unique(ids, return_counts=True)
    drawn = dict(zip(values.tolist(), counts.tolist(), strict=True))
    drawn.pop(0, None)  # void
    infos = {segment["id"]: segment for segment in segments}
    if twice := _repeated(segment["id"] for segment in segments):
        yield flaw(f"ids that come twice in segments_info: {_listed(twice)}", _IDS)
    if 0 in infos:
        yield flaw("segments_info lists the id 0, which is void", _IDS)
    if unlisted := drawn.keys() - infos.keys():
        yield flaw(f"ids in the PNG but not in the JSON: {_listed(unlisted)}", _IDS)
    undrawn = infos.keys() - drawn.keys() - {0}
    crowds = {key for key in undrawn if infos[key].get("iscrowd")}
    if undrawn - crowds:
        yield flaw(f"ids in the JSON but not in the PNG: {_listed(undrawn - crowds)}", _IDS)
    if crowds:
        problem = f"crowds in the JSON without a pixel in the PNG: {_listed(crowds)}"
        mend = "none is needed where they are void in the PNG; otherwise draw them"
        yield flaw(problem, mend, "warning")
    if unknown := {segment["category_id"] for segment in segments} - set(categories):
        yield flaw(f"category ids that `categories` lacks: {_listed(unknown)}", _CATEGORY)
    for key, segment in infos.items():
        if key in drawn and segment.get("area", drawn[key]) != drawn[key]:
            problem = f"segment {key} has area {segment['area']} in the JSON, {drawn[key]} drawn"
            yield flaw(problem, "write the drawn one", "warning")
        yield from _box_flaws(f"the box of segment {key}", segment, height, width, flaw)


def _inspect_instances_json(
    path: Path,
    annotations: list[Entry],
    images: dict[Any, Entry],
    categories: dict[Any, Entry],
    findings: list[Finding],
) -> Inspection:
    if twice := _repeated(entry["id"] for entry in annotations):
        problem = f"ids that two annotations have: {_listed(twice)}"
        findings.append(Finding(str(path), problem, "number the annotations anew"))
    own = defaultdict(list)
    for entry in annotations:
        own[entry["image_id"]].append(entry)
    return Inspection(
        findings,
        {
            Path(image["file_name"]).stem: partial(
                _inspect_instances, own[key], image, categories.keys()
            )
            for key, image in images.items()
        },
    )


def _inspect_instances(
    annotations: list[Entry], image: Entry, categories: Collection[Any]
) -> tuple[Size, list[Finding]]:
    flaws = [flaw for entry in annotations for flaw in _mask_flaws(entry, image, categories)]
    return (image["height"], image["width"]), flaws


def _mask_flaws(annotation: Entry, image: Entry, categories: Collection[Any]) -> Iterator[Finding]:
    height, width = image["height"], image["width"]
    flaw = partial(Finding, f"annotation {annotation['id']} of {image['file_name']}")
    if annotation["category_id"] not in categories:
        yield flaw(f"`categories` lacks its category {annotation['category_id']}", _CATEGORY)
    yield from _box_flaws("its box", annotation, height, width, flaw)
    try:
        pixels = int(coco.decode_mask(annotation, image).sum())
    except GroundTruthError as error:
        yield error.finding
        return
    if not pixels:
        yield flaw("its mask is empty", "draw it again or remove it", "warning")
    drawn, area = annotation["segmentation"], annotation.get("area", pixels)
    tolerance = 0.5  # areas are counted, and perhaps written as floats
    if isinstance(drawn, list):
        points = [np.reshape(polygon, (-1, 2)) for polygon in drawn]
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


def _box_flaws(
    name: str, entry: Entry, height: int, width: int, flaw: Callable[..., Finding]
) -> Iterator[Finding]:
    mend = "give [x, y, width, height] in pixels of this image"
    box = entry.get("bbox", [0, 0, 0, 0])
    if not isinstance(box, list) or len(box) != 4:
        yield flaw(f"{name} is not [x, y, width, height]", mend)
    elif _leaves(box, height, width):
        yield flaw(f"{name} leaves the image", mend, "warning")


def _leaves(box: Sequence[float], height: int, width: int) -> bool:
    """Whether a box [x, y, width, height] leaves the image by more than a pixel."""
    x, y, across, down = box
    return min(x, y) < -1 or x + across > width + 1 or y + down > height + 1


def _repeated(ids: Iterable[Any]) -> list[Any]:
    return [one for one, times in Counter(ids).items() if times > 1]


def _listed(ids: Collection[Any]) -> str:
    """The first few of some ids and how many more there are."""
    first = ", ".join(map(str, sorted(ids, key=str)[:_MANY]))
    return f"{first} and {len(ids) - _MANY} more" if len(ids) > _MANY else first
