"""COCO's instances with their ids, categories, crowds and scores: written and read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trace_edges.files import write_atomically
from trace_edges.formats.coco_file import as_coco, image_names, open_coco
from trace_edges.formats.coco_masks import checked_runs, mask_sizes
from trace_edges.formats.coco_models import (
    CALLED_CATEGORY,
    CATEGORY,
    CATEGORY_MASK,
    LISTED_IMAGE,
    CategoryMask,
)
from trace_edges.formats.entries import sound_entries
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
)
from trace_edges.formats.listing import Entry, check_name, plain
from trace_edges.formats.outlines import border_polygons
from trace_edges.formats.rle import decode_crop, encode_crop
from trace_edges.formats.streams import Ids, write_lists
from trace_edges.formats.truth import Finding
from trace_edges.formats.values import Key
from trace_edges.results import Category, InstanceMasks
from trace_edges.results.labels import Crop, Window

FILE, FIFTYONE_FILE = "instances.json", "labels.json"


def write_coco(images: Iterable[Labelled], writing: Writing, file: str = FILE) -> list[Path]:
    """Write COCO's annotations JSON. Masks are compressed RLE, or polygons where these are exactly
    the mask and are asked for; crowds have `iscrowd` 1 and each annotation its `score`.
    """
    path = writing.file(file)
    image_ids, mask_ids = Ids(writing.lost, IMAGE_IDS, least=0), Ids(writing.lost, MASK_IDS)

    def lists(write: Any) -> None:
        for image in images:
            check_name(image.name)
            height, width = image.masks.shape
            number = image_ids(image.id)
            entry = {"id": number, "file_name": image.photograph, "height": height, "width": width}
            write("images", entry)
            for crop, window, score, mark in image:
                outline = None
                if writing.polygons and not mark.crowd:
                    outline = border_polygons(crop, window, (height, width))
                entry = _entry(crop, window, (height, width), score, mark.category.id, mark.crowd,
                               outline)  # fmt: skip
                write("annotations", {"id": mask_ids(mark.id), "image_id": number, **entry})
        for category in category_entries(writing.categories()):
            write("categories", category)

    with write_atomically(path) as temporary:
        write_lists(temporary, ("images", "annotations", "categories"), lists)
    return [path]


def _entry(
    crop: Crop, window: Window, size: tuple[int, int], score: float, category: int,
    crowd: bool = False, outline: list[list[int]] | None = None,
) -> Entry:  # fmt: skip
    rows, columns = window
    return {
        "category_id": category,
        "segmentation": outline or encode_crop(crop, window, size),
        "area": int(np.count_nonzero(crop)),
        "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
        "iscrowd": int(crowd),
        "score": score,
    }


def coco_entries(
    instances: InstanceMasks, categories: Mapping[str, int] | None = None
) -> Iterator[Entry]:
    """COCO's annotations of the masks of an image, without ids.

    Args:
        categories: ids of the classes of the masks. None: all are of category 1.
    """
    found = zip(instances.crops, instances.windows, instances.scores, instances.classes,
                strict=True)  # fmt: skip
    for crop, window, score, name in found:
        category = categories[name] if categories else CATEGORY
        yield _entry(crop, window, instances.shape, plain(score), category)


def numbered(names: Iterable[str]) -> tuple[Category, ...]:
    """Classes of things of these names, numbered from 1."""
    return tuple(Category(number, name, True) for number, name in enumerate(names, 1))


def category_entries(categories: Iterable[Category], *, things: bool = False) -> list[Entry]:
    """COCO's entries of classes; with `things`, as panoptic JSONs have them."""
    return [
        {"id": one.id, "name": one.name, "supercategory": one.name}
        | ({"isthing": int(one.thing)} if things else {})
        for one in categories
    ]


def write_fiftyone(images: Iterable[Labelled], writing: Writing) -> list[Path]:
    """Write OUT/labels.json, COCO's JSON where FiftyOne's COCODetectionDataset looks for it."""
    return write_coco(images, writing, FIFTYONE_FILE)


def read_coco(path: Path, reading: Reading) -> LabelledSet:
    """The masks of COCO's annotations, of a results list, or of SAM's JSON.

    Raises:
        GroundTruthError: as in `open_coco`.
        OSError: it cannot be read.
    """
    given = reading.content
    # A text would be a path.
    source = path if given is None or isinstance(given, str) else as_coco(given, path)
    file = open_coco(source, LISTED_IMAGE, CATEGORY_MASK, unnamed=str(path))
    content = file.content if isinstance(file.content, Mapping) else {}
    categories, unsound = listed_categories(content, file.name)
    masks: dict[Key, list[CategoryMask]] = defaultdict(list)
    for mask in file.masks:
        masks[mask.image_id].append(mask)
    sizes = mask_sizes(file.images, masks)
    files: dict[Key, str | None] = {key: one.file_name for key, one in file.images.items()}
    names = image_names(files or dict.fromkeys(masks), file.name)
    full = {key: _full_name(files.get(key), name) for key, name in names.items()}

    def images() -> Iterator[Labelled | Finding]:
        yield from [*unsound, *file.findings]
        for key, name in full.items():
            if key not in sizes:
                problem = f"image {key} has no height or width, and no RLE tells"
                yield Finding(file.name, problem, "add them")
                continue
            own = masks.pop(key, [])
            held = yield from held_masks(own, sizes[key], categories, file.name)
            yield held.labelled(name, files.get(key), key)

    return LabelledSet(categories.all, images())


def held_masks(
    masks: Iterable[CategoryMask],
    size: tuple[int, int],
    category: Callable[[Key], Category],
    subject: str,
) -> Generator[Finding, None, MaskList]:
    """Gives the masks of one image, and on the way what is wrong with those that are left out.

    Args:
        category: what the number of a class stands for.
        subject: the file, for the findings.
    """
    held = MaskList(size)
    for mask in masks:
        try:
            runs = checked_runs(mask, size, subject)
            if not runs[1::2].any():
                raise ValueError("has no pixel")
            window, crop = decode_crop(runs, size)
            mark = Mark(category(mask.category_id), mask.iscrowd, mask.id)
            score = 1.0 if mask.score is None else mask.score
            held.add(crop, (window[0].start, window[1].start), score, mark)
        except ValueError as error:
            yield finding_of(error, f"{subject}: {mask.name}")
    return held


def _full_name(file_name: str | None, name: str) -> str:
    """With the folders of the file, where these lead nowhere else."""
    if file_name is None or file_name.startswith("/") or ".." in file_name.split("/"):
        return name
    return file_name.rpartition(".")[0] or name if "." in file_name else file_name


def listed_categories(content: Mapping[str, Any], name: str) -> tuple[Categories, list[Finding]]:
    """The categories that a JSON may list, in its order, and what is wrong with others; those
    without a name are called by their ids.
    """
    categories = Categories()
    if "categories" not in content:
        return categories, []
    found, findings = sound_entries(CALLED_CATEGORY, content, "categories", name)
    for one in found:
        categories(one.id, one.name, one.isthing)
    return categories, findings
