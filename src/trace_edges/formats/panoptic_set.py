"""COCO's panoptic maps with all that they hold, written and read as masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from trace_edges.files import write_json
from trace_edges.formats.coco_file import listed_images, read_content
from trace_edges.formats.coco_models import NAMED_IMAGE, PANOPTIC_ANNOTATION
from trace_edges.formats.coco_set import listed_categories
from trace_edges.formats.coco_truth import png_folder, read_panoptic, sound_segments
from trace_edges.formats.entries import sound_entries
from trace_edges.formats.labelled import (
    Categories,
    Labelled,
    LabelledSet,
    Mark,
    MaskList,
    Reading,
    Writing,
    finding_of,
    image_name,
)
from trace_edges.formats.listing import Entry, bare, check_name
from trace_edges.formats.panoptic import panoptic_categories, segment_entry
from trace_edges.formats.pixels import id_colours, write_png
from trace_edges.formats.streams import Ids
from trace_edges.formats.truth import Finding, refusal
from trace_edges.formats.values import LARGEST_SEGMENT, SHARE
from trace_edges.results.labels import label_windows

FILE = "panoptic.json"
COVERED = "masks that lie under others whole"
CUT = "masks that lie under others in part"


def write_panoptic(images: Iterable[Labelled], writing: Writing) -> list[Path]:
    """Write OUT/panoptic.json and OUT/panoptic/NAME.png. Where masks overlap, the smaller lies on
    top; crowds lie under all others.
    """
    path = writing.file(FILE)
    listed: list[Entry] = []
    annotations: list[Entry] = []
    image_ids = Ids()
    for image in images:
        check_name(image.name)
        height, width = image.masks.shape
        number, file_name = image_ids(image.id), f"{bare(image.name)}.png"
        own = Ids()
        numbers = [own(m.id if isinstance(m.id, int) and m.id <= LARGEST_SEGMENT else None)
                   for m in image.marks]  # fmt: skip
        ids = painted(image, numbers, writing)
        write_png(id_colours(ids), path.with_suffix("") / file_name)
        segments = []
        windows = label_windows(ids)
        for place, (_, _, score, mark) in enumerate(image):
            if numbers[place] not in windows:
                continue
            shown = windows[numbers[place]]
            segments.append(
                segment_entry(numbers[place], mark.category.id, *shown, score, mark.crowd)
            )
        size = {"height": height, "width": width}
        listed.append({"id": number, "file_name": image.photograph, **size})
        annotations.append({"image_id": number, "file_name": file_name, "segments_info": segments})
    categories = panoptic_categories(writing.categories())
    write_json({"images": listed, "annotations": annotations, "categories": categories}, path)
    return [path, path.with_suffix("")]


def painted(image: Labelled, numbers: Sequence[int], writing: Writing) -> Int32[np.ndarray, "h w"]:
    """The masks of an image in one map, the smaller on top; what is lost is counted."""
    ids = np.zeros(image.masks.shape, dtype=np.int32)
    areas = image.masks.areas
    order = sorted(range(len(areas)), key=lambda n: (not image.marks[n].crowd, -areas[n]))
    for place in order:
        ids[image.masks.windows[place]][image.masks.crops[place]] = numbers[place]
    left = np.bincount(ids.ravel(), minlength=max(numbers, default=0) + 1)[list(numbers)]
    writing.lost[COVERED] += int((left == 0).sum())
    writing.lost[CUT] += int(((left > 0) & (left < areas)).sum())
    return ids


def read_panoptic_set(path: Path, reading: Reading) -> LabelledSet:
    """The segments of a panoptic JSON and its PNGs; the scores that it gives, else 1.

    Raises:
        GroundTruthError: it is of another form, or its PNGs are not beside it.
    """
    content = read_content(path) if reading.content is None else reading.content
    if not isinstance(content, Mapping):
        raise refusal(path, "is no panoptic JSON", "give COCO's, an object")
    categories = listed_categories(content, str(path))
    folder = png_folder(path)
    return LabelledSet(categories.all, _images(path, content, categories, folder))


def _images(
    path: Path, content: Mapping[str, Any], categories: Categories, folder: Path
) -> Iterator[Labelled | Finding]:
    annotations, findings = sound_entries(PANOPTIC_ANNOTATION, content, "annotations", path)
    images, bad = listed_images(NAMED_IMAGE, content, str(path))
    yield from [*findings, *bad]
    for annotation in annotations:
        subject = f"{path}: {annotation.name}"
        image = images.get(annotation.image_id)
        file_name = annotation.file_name if image is None else image.file_name
        try:
            ids = read_panoptic(folder / annotation.file_name)
        except (ValueError, OSError) as error:
            yield finding_of(error, subject)
            continue
        yield from segments(
            image_name(file_name), ids, annotation.segments_info, categories, subject,
            None if image is None else file_name, annotation.image_id,
        )  # fmt: skip


def segments(
    name: str,
    ids: Int32[np.ndarray, "h w"],
    segments_info: list[Any],
    categories: Categories,
    subject: str,
    file_name: str | None = None,
    image_id: Any = None,
) -> Iterator[Labelled | Finding]:
    """The segments of one map, and what is wrong with those that are not in it."""
    sound, findings = sound_segments(segments_info, subject)
    yield from findings
    windows = label_windows(ids)
    shape = (ids.shape[0], ids.shape[1])
    masks = MaskList(shape)
    for segment in sound:
        try:
            if segment.id not in windows:
                raise ValueError("has no pixel in the PNG")
            (rows, columns), crop = windows[segment.id]
            score = SHARE.validate_python(segments_info[segment.place].get("score", 1))
            mark = Mark(categories(segment.category_id), segment.iscrowd, segment.id)
            masks.add(crop, (rows.start, columns.start), score, mark)
        except ValueError as error:
            yield finding_of(error, f"{subject}: segment {segment.id}")
    yield masks.labelled(name, file_name, image_id)
