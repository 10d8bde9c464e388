"""Checks of ground truth: all that is wrong and how to mend it, not only the first thing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from trace_edges.files import find_images, read_text
from trace_edges.formats.coco_checks import inspect_coco
from trace_edges.formats.folders import NamedFiles, by_name, list_files
from trace_edges.formats.ground_truth import KINDS, locate
from trace_edges.formats.pixels import upright_size
from trace_edges.formats.registry import get_format
from trace_edges.formats.truth import (
    Finding,
    GroundTruthError,
    Inspection,
    Segments,
    Size,
    refused,
)
from trace_edges.formats.voc import CLASSES, SPLITS, class_of, instance_numbers, read_indices

# A label map of more segments than one per so many pixels is no label map.
_PIXELS_PER_SEGMENT = 16


def check_ground_truth(
    source: Path,
    kind: str = "auto",
    images: Path | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Finding]:
    """Reads every annotation of a data set and lists what is wrong with it.

    Args:
        source, kind: as for `open_ground_truth`.
        images: folder of the photographs, to compare sizes and names with.
        progress: called after each annotation with the annotations read and their number.

    Returns:
        What is wrong: first with the data set, then image by image. An empty list if nothing is.

    Raises:
        ValueError: the kind is unknown, or there is no photograph under `images`.
        ImportError: pycocotools is needed and not installed.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"unknown kind {kind!r}: choose from auto, {', '.join(KINDS)}")
    below = find_images([images], recursive=True).images if images is not None else ()
    files, findings = by_name(below, images or Path())
    try:
        inspection = _inspect_source(source, kind)
    except (OSError, ValueError) as error:
        return [*findings, _finding(error, source)]
    findings += inspection.findings
    photographs = NamedFiles(files).of(inspection.images)
    if images is not None:
        alone = sorted({*files.values()} - {*photographs.values()})
        findings += _strangers(photographs, alone, inspection, images)
    for done, (name, inspect) in enumerate(inspection.images.items(), 1):
        try:
            size, found = inspect()
            findings += found
            if name in photographs:
                findings += compared(photographs[name], size)
        except (OSError, ValueError) as error:
            findings.append(_finding(error, name))
        if progress is not None:
            progress(done, len(inspection.images))
    return findings


def _finding(error: Exception, subject: object) -> Finding:
    if isinstance(error, GroundTruthError):
        return error.finding
    return Finding(str(subject), f"cannot be read ({error})", "write or fetch it again")


def _inspect_source(source: Path, kind: str) -> Inspection:
    found = locate(source, kind)
    if found.content is not None:
        return inspect_coco(found.kind, found.path, found.content)
    form = get_format(found.kind)
    suffixes, read = form.suffixes, form.function("truth")
    files, findings = by_name(list_files(found.path, suffixes, recursive=True), found.path)
    if not files:
        problem = f"holds no file of {', '.join(suffixes)}"
        findings.append(Finding(str(found.path), problem, "give the folder they are in"))
    if found.kind == "voc":
        findings += _check_splits(found.path.parent, files)
        classes = found.path.parent / CLASSES
        inspect = partial(_inspect_voc, classes=classes if classes.is_dir() else None)
        return Inspection(findings, {name: partial(inspect, path) for name, path in files.items()})
    if found.kind == "coco-panoptic":
        problem = f"there is no {found.path.name}.json beside it: crowds and sizes go unchecked"
        mend = "put the JSON there, or give it instead of the folder"
        findings.append(Finding(str(found.path), problem, mend, "warning"))
    inspections = {name: partial(_inspect, read, path) for name, path in files.items()}
    return Inspection(findings, inspections)


def _inspect(
    read: Callable[[Path], Collection[Segments]], path: Path
) -> tuple[Size, list[Finding]]:
    annotators = list(read(path))
    findings = []
    sizes = sorted({segments.labels.shape for segments in annotators})
    if len(sizes) > 1:
        problem = f"its annotators have maps of different sizes: {sizes}"
        findings.append(Finding(str(path), problem, "remove the one that is not of the image"))
    segments = len(np.unique(annotators[0].labels))
    if segments > max(256, annotators[0].labels.size / _PIXELS_PER_SEGMENT):
        problem = f"has {segments:,} segments, as a photograph would"
        findings.append(Finding(str(path), problem, "give the folder of the annotations"))
    drawn = [one.boundaries for one in annotators if one.boundaries is not None]
    if drawn and not any(boundaries.any() for boundaries in drawn):
        problem = "has no boundary pixel, so every prediction in it is wrong"
        findings.append(Finding(str(path), problem, "make sure of it", "warning"))
    return sizes[0], findings


def _inspect_voc(path: Path, classes: Path | None) -> tuple[Size, list[Finding]]:
    indices = read_indices(path)
    if classes is None:
        return indices.shape, []
    beside = classes / path.name
    if not beside.is_file():
        problem = f"has no image in {CLASSES}, so its classes are unknown"
        finding = Finding(str(path), problem, "add it, or stay class-agnostic", "warning")
        return indices.shape, [finding]
    found = read_indices(beside)
    if found.shape != indices.shape:
        problem = f"is {_size(indices.shape)}, and that in {CLASSES} {_size(found.shape)}"
        return indices.shape, [Finding(str(path), problem, "fetch both images again")]
    numbers = [n for n in instance_numbers(indices) if class_of(indices == n, found) is None]
    problem = f"instances without a class in {CLASSES}: {numbers}"
    mend = "fetch both images again, or stay class-agnostic"
    return indices.shape, [Finding(str(path), problem, mend, "warning")] if numbers else []


def _check_splits(root: Path, files: Collection[str]) -> list[Finding]:
    findings = []
    for split in list_files(root / SPLITS, (".txt",)) if (root / SPLITS).is_dir() else ():
        absent = [name for name in read_text(split).split() if name not in files]
        if absent:
            problem = f"images named there without annotation: {len(absent)}, {absent[0]} first"
            findings.append(Finding(str(split), problem, "add their images or cut the list"))
    return findings


def _strangers(
    photographs: Collection[str], alone: Sequence[Path], inspection: Inspection, images: Path
) -> list[Finding]:
    """Annotations without photograph, each; photographs without annotation, as one."""
    findings = [
        Finding(name, f"has no photograph in {images}", "add it or remove the annotation")
        for name in inspection.images
        if name not in photographs
    ]
    if alone:
        problem = f"photographs without annotation: {len(alone)}, {alone[0].name} first"
        mend = "leave them out of predictions, or add the annotations"
        findings.append(Finding(str(images), problem, mend, "warning"))
    return findings


def compared(photograph: Path, size: Size) -> list[Finding]:
    """What is wrong where an annotation has this size.

    Raises:
        GroundTruthError: the photograph cannot be read.
    """
    with refused(photograph):
        own = upright_size(photograph)
    if own == size:
        return []
    problem = f"is {_size(own)} when upright, and its annotation {_size(size)}"
    mend = "bring them to one size (labels by nearest neighbour)"
    if own == size[::-1]:
        mend = "turn the one that lies on its side; photographs may have an EXIF orientation"
    return [Finding(str(photograph), problem, mend)]


def _size(size: Size) -> str:
    return f"{size[1]} x {size[0]} px"
