"""Read COCO's annotations: panoptic PNGs, and instances as polygons or run lengths."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from trace_edges.extras import require
from trace_edges.formats.findings import Finding, GroundTruthError, refusal, refused
from trace_edges.formats.json_files import read_json
from trace_edges.formats.pictures import PNG, list_files
from trace_edges.formats.pixels import read_panoptic_ids
from trace_edges.formats.segments import Segments

Entry = dict[str, Any]  # of a list of a COCO JSON
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
    library = require("pycocotools.mask", "eval")
    subject = f"annotation {annotation['id']} of {image['file_name']}"
    size = [image["height"], image["width"]]
    drawn = annotation["segmentation"]
    try:
        if isinstance(drawn, list):
            if not drawn or any(len(polygon) < 6 or len(polygon) % 2 for polygon in drawn):
                raise refusal(
                    subject,
                    "has no polygon, or one of fewer than three points or half a point",
                    "draw it again or remove it",
                )
            return library.decode(library.merge(library.frPyObjects(drawn, *size))) > 0
        if list(drawn["size"]) != size:
            problem = f"its RLE is {drawn['size']} and the image {size} (height, width)"
            raise refusal(subject, problem, "encode it at the size of the image")
        if isinstance(drawn["counts"], list):
            if sum(drawn["counts"]) != size[0] * size[1]:
                problem = f"its runs add up to {sum(drawn['counts'])} pixels, not {size}"
                raise refusal(subject, problem, "encode it again, column by column")
            drawn = library.frPyObjects(drawn, *size)
        return library.decode(drawn) > 0
    except GroundTruthError:
        raise
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
