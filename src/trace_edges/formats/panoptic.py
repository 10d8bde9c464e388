"""Panoptic maps in COCO's format, as Mask2Former and other networks train on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from trace_edges.files import write_json
from trace_edges.formats.listing import Entry, ImageList, OneOrMany, bare, by_name, plain
from trace_edges.formats.pixels import UNLABELLED, colour_ids, id_colours, read_pixels, write_png
from trace_edges.formats.values import LARGEST_SEGMENT
from trace_edges.results import Category, PanopticMap
from trace_edges.results.labels import Crop, Window, label_windows


def read_panoptic_ids(path: str | PathLike[str]) -> Int32[np.ndarray, "h w"]:
    """Segment ids of a panoptic PNG: R + 256 G + 65536 B, and 0 is void.

    Raises:
        FileNotFoundError, FileError: as in `trace_edges.formats.pixels.read_pixels`.
    """
    kind = "a panoptic PNG is RGB (id = R + 256 G + 65536 B)"
    pixels, _ = read_pixels(path, ("RGB",), kind)
    return colour_ids(pixels)


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
    pngs = Path(folder) if folder is not None else Path(path).with_suffix("")
    images: list[Entry] = []
    annotations: list[Entry] = []
    for name, number in listed.ids.items():
        panoptic, file_name = maps[name], f"{bare(name)}.png"
        _check_segments(panoptic, categories, places, name)
        write_png(id_colours(panoptic.ids), pngs / file_name)
        if semantic_folder is not None:
            write_png(_semantic(panoptic, places), Path(semantic_folder) / file_name)
        images.append(listed.entry(name, panoptic.ids.shape))
        segments = segments_info(panoptic)
        annotations.append({"image_id": number, "file_name": file_name, "segments_info": segments})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": panoptic_categories(categories),
    }
    write_json(content, path)


def panoptic_categories(categories: Iterable[Category]) -> list[Entry]:
    """COCO's entries of the classes of panoptic maps."""
    return [
        {"id": one.id, "name": one.name, "supercategory": one.name, "isthing": int(one.thing)}
        for one in categories
    ]


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
