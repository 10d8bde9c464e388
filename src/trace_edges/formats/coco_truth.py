"""COCO's annotations as ground truth: panoptic PNGs, and instances as polygons or run lengths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Int32
from pydantic import ValidationError

from trace_edges.formats.coco_file import image_names, listed_images, read_content, unlisted
from trace_edges.formats.coco_masks import checked_runs
from trace_edges.formats.coco_models import (
    MASK,
    NAMED_IMAGE,
    PANOPTIC_ANNOTATION,
    PANOPTIC_SEGMENT,
    TRUE_IMAGE,
    Mask,
    PanopticSegment,
)
from trace_edges.formats.entries import refuse_unsound, shown, sound_entries
from trace_edges.formats.folders import list_files
from trace_edges.formats.listing import Entry
from trace_edges.formats.pixels import read_panoptic_ids
from trace_edges.formats.rle import Size, decode_runs
from trace_edges.formats.truth import (
    Finding,
    GroundTruthError,
    Reader,
    Segments,
    refusal,
    refused,
)
from trace_edges.formats.values import FILE_NAME, KEY, Key
from trace_edges.results.labels import painting_order

PNG = (".png",)


def read_panoptic(path: str | PathLike[str]) -> Int32[np.ndarray, "h w"]:
    """Segment ids of a panoptic PNG: id = R + 256 G + 65536 B, and 0 is void.

    Raises:
        GroundTruthError: the file is missing or damaged, or not RGB, as a panoptic PNG is.
    """
    with refused(Path(path)):
        return read_panoptic_ids(path)


def read_panoptic_segments(
    path: str | PathLike[str], crowds: Collection[int] = ()
) -> list[Segments]:
    """The segments of a panoptic PNG; void are id 0 and crowds. Errors: `read_panoptic`."""
    ids = read_panoptic(path)
    return [Segments(ids, np.isin(ids, [0, *crowds]))]


def read_instances(masks: Sequence[Mask], size: Size, name: str) -> list[Segments]:
    """One label map of the masks of an image, the smaller painted over the larger.

    The n-th mask has the label n, counted from 1; 0 is the background, a segment of its own. Crowds
    are void where no single object lies on them.

    Args:
        masks: those of the image.
        size: (height, width) of it.
        name: of the JSON, in messages.

    Raises:
        GroundTruthError: a mask is none, or of another size than the image.
        ImportError: pycocotools is not installed.
    """
    labels = np.zeros(size, dtype=np.int32)
    runs = [checked_runs(mask, size, name) for mask in masks]
    crowds = [mask.iscrowd for mask in masks]
    for n in painting_order([int(one[1::2].sum()) for one in runs], crowds):
        labels[decode_runs(runs[n], size)] = n + 1
    return [Segments(labels, np.isin(labels, np.flatnonzero(crowds) + 1))]


def load_json(path: Path) -> Entry:
    """The dictionary of a COCO JSON.

    Raises:
        GroundTruthError: the file is missing, is no JSON, or holds no dictionary.
    """
    content = read_content(path)
    if not isinstance(content, dict):
        held = "a list, as detections do" if isinstance(content, list) else shown(content)
        mend = "give the ground truth: an object of images, annotations and categories"
        raise refusal(path, f"holds {held}", mend)
    return content


def png_folder(path: Path) -> Path:
    """The folder with the PNGs of a panoptic JSON: beside it, or the one it lies in.

    Raises:
        GroundTruthError: there is none.
    """
    for folder in (path.parent / path.stem, path.parent / "panoptic", path.parent):
        if folder.is_dir() and list_files(folder, PNG, recursive=folder != path.parent):
            return folder
    problem = f"its PNGs are neither in {path.stem}/ nor in panoptic/ beside it, nor with it"
    raise refusal(path, problem, "put or link their folder there")


def sound_segments(
    segments_info: list[Any], subject: object
) -> tuple[list[PanopticSegment], list[Finding]]:
    """The sound entries of a `segments_info`, and what is wrong with the others."""
    content = {"segments_info": segments_info}
    return sound_entries(PANOPTIC_SEGMENT, content, "segments_info", subject)


def open_panoptic(path: Path, content: Entry) -> Iterator[tuple[str, Reader]]:
    """The images of a panoptic JSON in turn: their names, and what reads their segments.

    They are called after their entries in `images`, or after their PNGs where there is none.

    Raises:
        GroundTruthError: the JSON is of another form, two images have one id or one name, or an
            entry is unsound and it is not known which image it is of. Other images with an entry
            that is unsound, or without PNG, are refused when they are read.
    """
    annotations, findings = sound_entries(PANOPTIC_ANNOTATION, content, "annotations", path)
    unsound = _unsound(content, "annotations", "image_id", annotations, findings)
    images, bad_images = listed_images(NAMED_IMAGE, content, str(path))
    refuse_unsound(bad_images)
    files = {one.image_id: images.get(one.image_id, one).file_name for one in annotations}
    if len(files) < len(annotations):
        raise refusal(path, "gives several annotations to one image", "keep one of them")
    if len({one.file_name for one in annotations}) < len(annotations):
        raise refusal(path, "gives one PNG to several annotations", "keep one of them")
    for id, _, finding in unsound:
        if id not in images:
            raise GroundTruthError(finding)
        files[id] = images[id].file_name
    names = image_names(files, str(path))
    folder = png_folder(path)
    readers: dict[Key, Reader] = {}
    for annotation in annotations:
        segments, own = sound_segments(annotation.segments_info, f"{path}: {annotation.name}")
        crowds = tuple(segment.id for segment in segments if segment.iscrowd)
        read = partial(read_panoptic_segments, folder / annotation.file_name, crowds)
        readers[annotation.image_id] = partial(_refuse, own[0]) if own else read
    readers |= {id: partial(_refuse, finding) for id, _, finding in unsound}
    yield from ((names[id], reader) for id, reader in readers.items())


def open_instances(path: Path, content: Entry) -> Iterator[tuple[str, Reader]]:
    """The images of an instances JSON in turn: their names, and what reads their segments.

    Raises:
        GroundTruthError: as in `open_panoptic`.
    """
    if not isinstance(content.get("images"), list):
        raise refusal(path, "has no list 'images'", "add images as COCO has them")
    images, bad_images = listed_images(TRUE_IMAGE, content, str(path))
    files = {id: image.file_name for id, image in images.items()}
    unsound: dict[Key, Finding] = {}
    for id, entry, finding in _unsound(content, "images", "id", [*images.values()], bad_images):
        try:
            files[id] = FILE_NAME.validate_python(entry.get("file_name"))
        except ValidationError as error:
            raise GroundTruthError(finding) from error
        unsound[id] = finding
    sound, findings = sound_entries(MASK, content, "annotations", path)
    for id, _, finding in _unsound(content, "annotations", "image_id", sound, findings):
        unsound.setdefault(id, finding)
    masks: dict[Key, list[Mask]] = defaultdict(list)
    for mask in sound:
        if files and mask.image_id not in files:
            raise GroundTruthError(unlisted(mask, str(path)))
        masks[mask.image_id].append(mask)
    for id, name in image_names(files, str(path)).items():
        if id in unsound:
            yield name, partial(_refuse, unsound[id])
        else:
            yield name, partial(read_instances, masks[id], images[id].size, str(path))


def _unsound(
    content: Entry, key: str, id_key: str, sound: Sequence[Any], findings: Sequence[Finding]
) -> list[tuple[Key, Entry, Finding]]:
    """The entries of a list that are not sound: the id of their image, themselves, what is wrong.

    Raises:
        GroundTruthError: it is not known which image one is of.
    """
    if not isinstance(content.get(key), list):
        refuse_unsound(findings)
    right = {entry.place for entry in sound}
    wrong = [one for place, one in enumerate(content.get(key, ())) if place not in right]
    unsound = []
    for entry, finding in zip(wrong, findings, strict=True):
        try:
            unsound.append((KEY.validate_python(entry[id_key]), entry, finding))
        except (KeyError, TypeError, ValidationError) as error:
            raise GroundTruthError(finding) from error
    return unsound


def _refuse(finding: Finding) -> NoReturn:
    raise GroundTruthError(finding)
