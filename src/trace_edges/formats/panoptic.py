"""Panoptic maps in COCO's format, as Mask2Former and other networks train on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from trace_edges.files import write_json
from trace_edges.formats.coco_file import listed_images, read_content
from trace_edges.formats.coco_models import NAMED_IMAGE, PANOPTIC_ANNOTATION
from trace_edges.formats.coco_set import category_entries, listed_categories
from trace_edges.formats.coco_truth import png_folder, read_panoptic, sound_segments
from trace_edges.formats.entries import listed, sound_entries
from trace_edges.formats.labelled import (
    IMAGE_IDS,
    MASK_IDS,
    Categories,
    Labelled,
    LabelledSet,
    Mark,
    MaskList,
    Reading,
    Writing,
    finding_of,
    flattened,
    image_name,
)
from trace_edges.formats.listing import (
    Entry,
    ImageList,
    OneOrMany,
    bare,
    by_name,
    check_name,
    plain,
)
from trace_edges.formats.pixels import UNLABELLED, id_colours, write_png
from trace_edges.formats.streams import Ids
from trace_edges.formats.truth import Finding, refusal
from trace_edges.formats.values import LARGEST_SEGMENT, SHARE
from trace_edges.results import Category, InstanceMasks, PanopticMap
from trace_edges.results.labels import Crop, Window, label_windows

FILE = "panoptic.json"


def export_panoptic(
    maps: OneOrMany[PanopticMap],
    path: str | PathLike[str],
    categories: Sequence[Category],
    *,
    folder: str | PathLike[str] | None = None,
    semantic_folder: str | PathLike[str] | None = None,
    file_names: Mapping[str, str] | None = None,
    image_ids: Mapping[str, int] | None = None,
) -> None:
    """Write COCO's panoptic JSON, an RGB PNG per image, and on demand a semantic PNG per image.

    In the panoptic PNG a segment is the colour of its number, id = R + 256 G + 65536 B, and 0 is
    void. In the semantic PNG, 8-bit grey, a pixel is the place of its category in `categories`,
    counted from 0, and 255 is void: the numbers that Mask2Former's registration of
    `panoptic_semseg` gives to the categories of its list. Both PNGs are called NAME.png. The JSON
    is written last, so that what it lists is there.

    Args:
        maps: one result, several, or a mapping by image name, without a suffix, of which one is
            taken after the other; the images of a list are called 000001, 000002, ...
        path: of the JSON.
        categories: every class that occurs, in the order of the data set.
        folder: of the panoptic PNGs; by default the one beside the JSON with its name, without
            ".json", where `trace_edges.evaluation` and others look for it.
        semantic_folder: of the semantic PNGs; None writes none.
        file_names: the photograph of each image name; NAME.jpg where it gives none. Mask2Former
            itself assumes NAME.jpg.
        image_ids: the number of each image name. By default the number that the name is, if all
            names are numbers, else 1, 2, ... in sorted order.

    Raises:
        OSError: a file cannot be written.
        ValueError: names, ids or categories will not do, or a segment is of a class that
            `categories` does not list, lists as stuff where it is a thing, or the reverse.
    """
    maps = by_name(maps)
    listed = ImageList(maps, file_names, image_ids)
    places = _places(categories, semantic_folder is not None)

    def images() -> Iterator[Labelled]:
        for name, number in listed.ids.items():
            panoptic = maps[name]
            _check_segments(panoptic, categories, places, name)
            if semantic_folder is not None:
                semantic = _semantic(panoptic, places)
                write_png(semantic, Path(semantic_folder) / f"{bare(name)}.png")
            windows = label_windows(panoptic.ids)
            found = [windows[one.id] for one in panoptic.segments]
            masks = InstanceMasks.cropped(
                [window for window, _ in found], [crop for _, crop in found], panoptic.ids.shape,
                [one.score for one in panoptic.segments],
            )  # fmt: skip
            kinds = [categories[places[one.category]] for one in panoptic.segments]
            marks = [Mark(kind, id=one.id)
                     for kind, one in zip(kinds, panoptic.segments, strict=True)]  # fmt: skip
            yield Labelled(name, masks, tuple(marks), listed.file_names[name], number)

    writing = Writing(Path(path), lambda: categories)
    write_panoptic(images(), writing, Path(path).name, folder)


def write_panoptic(
    images: Iterable[Labelled],
    writing: Writing,
    file: str = FILE,
    folder: str | PathLike[str] | None = None,
) -> list[Path]:
    """Write OUT/panoptic.json and OUT/panoptic/NAME.png, or PNGs in `folder`. Where masks overlap,
    the smaller lies on top; crowds lie under all others.
    """
    path = writing.file(file)
    pngs = path.with_suffix("") if folder is None else Path(folder)
    listed: list[Entry] = []
    annotations: list[Entry] = []
    image_ids = Ids(writing.lost, IMAGE_IDS, least=0)
    for image in images:
        check_name(image.name)
        height, width = image.masks.shape
        number, file_name = image_ids(image.id), f"{bare(image.name)}.png"
        own = Ids(writing.lost, MASK_IDS, most=LARGEST_SEGMENT)
        numbers = [own(mark.id) for mark in image.marks]
        ids = flattened(image, numbers, writing)
        write_png(id_colours(ids), pngs / file_name)
        windows = label_windows(ids)
        segments = [
            segment_entry(id, mark.category.id, *windows[id], score, mark.crowd)
            for id, (_, _, score, mark) in zip(numbers, image, strict=True)
            if id in windows
        ]
        size = {"height": height, "width": width}
        listed.append({"id": number, "file_name": image.photograph, **size})
        annotations.append({"image_id": number, "file_name": file_name, "segments_info": segments})
    categories = category_entries(writing.categories(), things=True)
    write_json({"images": listed, "annotations": annotations, "categories": categories}, path)
    return [path, pngs]


def _places(categories: Sequence[Category], semantic: bool) -> dict[int, int]:
    """The place of every category in the list, by id."""
    places = {category.id: place for place, category in enumerate(categories)}
    if len(places) < len(categories):
        raise ValueError("two categories have one id: give each its own")
    if semantic and len(places) > UNLABELLED:
        raise ValueError(
            f"a semantic PNG holds {UNLABELLED} categories, not {len(places)}: write none"
        )
    return places


def _check_segments(
    panoptic: PanopticMap, categories: Sequence[Category], places: Mapping[int, int], name: str
) -> None:
    for segment in panoptic.segments:
        what = f"image {name}: segment {segment.id}"
        if not 0 < segment.id <= LARGEST_SEGMENT:
            raise ValueError(f"{what} must be a number from 1 to {LARGEST_SEGMENT}: renumber them")
        if segment.category not in places:
            raise ValueError(f"{what} is of category {segment.category}, which is not in the "
                             "categories: add it")  # fmt: skip
        category = categories[places[segment.category]]
        if category.thing != segment.thing:
            kinds = ("stuff", "a thing")
            raise ValueError(
                f"{what} is {kinds[segment.thing]} and its category {category.name} is "
                f"{kinds[category.thing]}: make the two agree"
            )


def segments_info(panoptic: PanopticMap) -> list[Entry]:
    """COCO's entry of every segment."""
    windows = label_windows(panoptic.ids)
    return [
        segment_entry(one.id, one.category, *windows[one.id], plain(one.score))
        for one in panoptic.segments
    ]


def segment_entry(
    id: int, category: int, window: Window, crop: Crop, score: float, crowd: bool = False
) -> Entry:
    """COCO's entry of a segment, of what the map has of it in a window."""
    rows, columns = window
    return {
        "id": id,
        "category_id": category,
        "iscrowd": int(crowd),
        "area": int(np.count_nonzero(crop)),
        "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
        "score": score,
    }


def _semantic(panoptic: PanopticMap, places: Mapping[int, int]) -> UInt8[np.ndarray, "h w"]:
    numbers, inverse = np.unique(panoptic.ids, return_inverse=True)
    of = {segment.id: places[segment.category] for segment in panoptic.segments}
    table = np.array([of.get(number, UNLABELLED) for number in numbers.tolist()], dtype=np.uint8)
    classes: UInt8[np.ndarray, "h w"] = table[inverse.reshape(panoptic.ids.shape)]
    return classes


def read_panoptic_set(path: Path, reading: Reading) -> LabelledSet:
    """The segments of a panoptic JSON and its PNGs; the scores that it gives, else 1.

    Raises:
        GroundTruthError: it is of another form, or its PNGs are not beside it.
    """
    content = read_content(path) if reading.content is None else reading.content
    if not isinstance(content, Mapping):
        raise refusal(path, "is not a panoptic JSON", "give one in COCO's form")
    categories, unsound = listed_categories(content, str(path))
    images = _images(path, content, categories, png_folder(path))
    return LabelledSet(categories.all, chain(unsound, images))


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
    """The segments of one map, and what is wrong where it and its list differ."""
    sound, findings = sound_segments(segments_info, subject)
    yield from findings
    windows = {number: place for number, place in label_windows(ids).items() if number}
    if not findings and (bare := windows.keys() - {segment.id for segment in sound}):
        problem = f"has segments in its PNG that are not listed: {listed(bare)}"
        yield Finding(subject, problem, "list each with its category")
    shape = (ids.shape[0], ids.shape[1])
    masks = MaskList(shape)
    taken: set[int] = set()
    for segment in sound:
        try:
            if segment.id in taken or not segment.id:
                raise ValueError("is listed twice" if segment.id else "is void (0), no segment")
            taken.add(segment.id)
            if segment.id not in windows:
                raise ValueError("has no pixel in the PNG")
            (rows, columns), crop = windows[segment.id]
            score = SHARE.validate_python(segments_info[segment.place].get("score", 1))
            mark = Mark(categories(segment.category_id), segment.iscrowd, segment.id)
            masks.add(crop, (rows.start, columns.start), score, mark)
        except ValueError as error:
            yield finding_of(error, f"{subject}: segment {segment.id}")
    yield masks.labelled(name, file_name, image_id)
