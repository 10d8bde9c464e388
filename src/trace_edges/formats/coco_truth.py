"""COCO's annotations as ground truth: panoptic PNGs, and instances as polygons or run lengths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from trace_edges.extras import MissingExtraError
from trace_edges.files import read_json
from trace_edges.formats.folders import list_files
from trace_edges.formats.listing import Entry
from trace_edges.formats.panoptic import read_panoptic_ids
from trace_edges.formats.rle import RunsError, decode_runs, mask_runs
from trace_edges.formats.truth import (
    Finding,
    GroundTruthError,
    Reader,
    Segments,
    refusal,
    refused,
)

PNG = (".png",)
IMAGE_KEYS = ("id", "file_name")
SIZED_IMAGE_KEYS = (*IMAGE_KEYS, "height", "width")
PANOPTIC_KEYS = ("image_id", "file_name", "segments_info")
INSTANCE_KEYS = ("id", "image_id", "category_id", "segmentation")


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


def read_instances(annotations: Sequence[Entry], image: Entry) -> list[Segments]:
    """One label map of the masks of an image, the smaller painted over the larger.

    The n-th annotation has the label n, counted from 1; 0 is the background, a segment of its own.
    Crowds are void where no single object lies on them.

    Args:
        annotations: COCO annotations with `id`, `segmentation` and perhaps `iscrowd`.
        image: COCO's entry with `file_name`, `height` and `width`.

    Raises:
        GroundTruthError: a mask is none, or of another size than the image.
        ImportError: pycocotools is not installed.
    """
    labels = np.zeros((image["height"], image["width"]), dtype=np.int32)
    masks = [decode_mask(annotation, image) for annotation in annotations]
    crowds = [bool(annotation.get("iscrowd")) for annotation in annotations]
    # Crowds first, then by falling area: what is painted last stays.
    for n in sorted(range(len(masks)), key=lambda n: (not crowds[n], -masks[n].sum())):
        labels[masks[n]] = n + 1
    return [Segments(labels, np.isin(labels, np.flatnonzero(crowds) + 1))]


def decode_mask(annotation: Entry, image: Entry) -> Bool[np.ndarray, "h w"]:
    """The pixels of one annotation, whichever way it is written: polygons, RLE, compressed RLE.

    Raises:
        GroundTruthError: it cannot be decoded, or is of another size than the image.
        ImportError: pycocotools is not installed.
    """
    subject = f"annotation {annotation['id']} of {image['file_name']}"
    size = image["height"], image["width"]
    drawn = annotation["segmentation"]
    if isinstance(drawn, list) and (
        not drawn or any(len(polygon) < 6 or len(polygon) % 2 for polygon in drawn)
    ):
        problem = "has no polygon, or one of fewer than three points or half a point"
        raise refusal(subject, problem, "draw it again or remove it")
    try:
        if not isinstance(drawn, list) and tuple(drawn["size"]) != size:
            problem = f"its RLE is {drawn['size']} and the image {list(size)} (height, width)"
            raise refusal(subject, problem, "encode it at the size of the image")
        return decode_runs(mask_runs(drawn, size), size)
    except (GroundTruthError, MissingExtraError):
        raise
    except RunsError as error:
        problem = f"its runs add up to {error.total} pixels, not {list(size)}"
        raise refusal(subject, problem, "encode it again, column by column") from error
    except Exception as error:  # the library raises nearly anything on what is no mask
        problem = f"its segmentation cannot be decoded ({type(error).__name__}: {error})"
        raise refusal(subject, problem, "write polygons or RLE as COCO does") from error


def load_json(path: Path) -> Entry:
    """The dictionary of a COCO JSON.

    Raises:
        GroundTruthError: the file is missing, is no JSON, or holds no dictionary.
    """
    with refused(path):
        content = read_json(path)
    if not isinstance(content, dict):
        mend = "give the ground truth: a dictionary of images, annotations and categories"
        raise refusal(path, f"holds a {type(content).__name__}, as detections do", mend)
    return content


def sound_entries(
    content: Entry, key: str, needed: Sequence[str], path: Path
) -> tuple[list[Entry], list[Finding]]:
    """The entries of a list of a COCO JSON that have the keys they need, and what is wrong."""
    entries = content.get(key)
    if not isinstance(entries, list):
        return [], [Finding(str(path), f"has no list {key!r}", f"add {key} as COCO has it")]
    sound, findings = [], []
    for place, entry in enumerate(entries):
        absent = [k for k in needed if not isinstance(entry, Mapping) or k not in entry]
        if absent:
            problem = f"{key}[{place}] lacks {', '.join(absent)}"
            findings.append(Finding(str(path), problem, "add it or remove the entry"))
        else:
            sound.append(entry)
    return sound, findings


def png_folder(path: Path) -> Path:
    """The folder with the PNGs of a panoptic JSON: beside it, or the one it lies in.

    Raises:
        GroundTruthError: there is none.
    """
    for folder in (path.parent / path.stem, path.parent / "panoptic", path.parent):
        if folder.is_dir() and list_files(folder, PNG):
            return folder
    problem = f"its PNGs are neither in {path.stem}/ nor in panoptic/ beside it, nor with it"
    raise refusal(path, problem, "put or link their folder there")


def image_name(annotation: Entry, images: Mapping[Any, Entry]) -> str:
    """The stem of the image of a panoptic annotation; of its PNG where no image is listed."""
    return Path(images.get(annotation["image_id"], annotation)["file_name"]).stem


def open_panoptic(path: Path, content: Entry) -> Iterator[tuple[str, Reader]]:
    """The images of a panoptic JSON in turn: their names, and what reads their segments.

    Raises:
        GroundTruthError: an entry lacks what it needs, or a PNG is missing.
    """
    images = {}
    if "images" in content:  # without them the PNGs give the names
        images = {entry["id"]: entry for entry in _sound(path, content, "images", IMAGE_KEYS)}
    folder = png_folder(path)
    for annotation in _sound(path, content, "annotations", PANOPTIC_KEYS):
        png = folder / annotation["file_name"]
        if not png.is_file():
            raise refusal(png, f"is missing, though {path.name} names it", "add it to the folder")
        segments = _sound(path, annotation, "segments_info", ("id",))
        crowds = tuple(segment["id"] for segment in segments if segment.get("iscrowd"))
        name = image_name(annotation, images)
        yield name, partial(read_panoptic_segments, png, crowds)


def open_instances(path: Path, content: Entry) -> Iterator[tuple[str, Reader]]:
    """The images of an instances JSON in turn: their names, and what reads their segments.

    Raises:
        GroundTruthError: an entry lacks what it needs.
    """
    annotations = defaultdict(list)
    for annotation in _sound(path, content, "annotations", INSTANCE_KEYS):
        annotations[annotation["image_id"]].append(annotation)
    for image in _sound(path, content, "images", SIZED_IMAGE_KEYS):
        reader = partial(read_instances, annotations[image["id"]], image)
        yield Path(image["file_name"]).stem, reader


def _sound(path: Path, content: Entry, key: str, needed: Sequence[str]) -> list[Entry]:
    entries, findings = sound_entries(content, key, needed, path)
    if findings:
        raise GroundTruthError(findings[0])
    return entries
