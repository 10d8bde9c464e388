"""Write instance masks as COCO annotations and as COCO results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike

import numpy as np

from trace_edges.extras import require
from trace_edges.formats.listing import Entry, ImageList, OneOrMany, by_name, plain, write_json
from trace_edges.results import InstanceMasks

CATEGORY = 1  # of every mask: evaluators that find no category 0 in a ground truth score nothing


def export_coco(
    masks: OneOrMany[InstanceMasks],
    path: str | PathLike[str],
    *,
    file_names: Mapping[str, str] | None = None,
    image_ids: Mapping[str, int] | None = None,
    category: str = "object",
) -> None:
    """Write COCO instances: images, annotations and one category.

    Masks are compressed RLE, so holes, parts and overlaps are kept to the pixel; `iscrowd` is 0.
    Each annotation has its `score` as well, which COCO does not ask for and readers pass over.

    Args:
        masks: one result, several, or a mapping by image name, without a suffix; the images of
            a list are called 000001, 000002, ... Images are taken one after the other, so a mapping
            may make them as they are asked for.
        path: of the JSON.
        file_names: the file of each image name; NAME.jpg where it gives none.
        image_ids: the number of each image name. By default the number that the name is, if all
            names are numbers, else 1, 2, ... in sorted order.
        category: name of the one category, whose id is 1.

    Raises:
        ImportError: pycocotools is not installed.
        OSError: the file cannot be written.
        ValueError: names or ids of images will not do.
    """
    masks = by_name(masks)
    listed = ImageList(masks, file_names, image_ids)
    images: list[Entry] = []
    annotations: list[Entry] = []
    for name in listed.ids:
        instances = masks[name]
        images.append(listed.entry(name, instances.shape))
        for entry in coco_entries(instances, listed.ids[name]):
            annotations.append({"id": len(annotations) + 1, **entry})
    categories = [{"id": CATEGORY, "name": category, "supercategory": category}]
    write_json({"images": images, "annotations": annotations, "categories": categories}, path)


def export_coco_results(
    masks: OneOrMany[InstanceMasks],
    path: str | PathLike[str],
    *,
    image_ids: Mapping[str, int] | None = None,
) -> None:
    """Write a COCO results list: what `loadRes` takes, with a score for every mask.

    A results list names images by id alone and none without masks; give the ids of the ground
    truth where they are not the numbers that the names are. Arguments and errors: `export_coco`.
    """
    masks = by_name(masks)
    listed = ImageList(masks, ids=image_ids)
    kept = ("image_id", "category_id", "segmentation", "bbox", "score")
    results = [
        {key: entry[key] for key in kept}
        for name in listed.ids
        for entry in coco_entries(masks[name], listed.ids[name])
    ]
    write_json(results, path)


def coco_entries(instances: InstanceMasks, image_id: int) -> Iterator[Entry]:
    coder = require("pycocotools.mask", "export")
    boxes, areas = instances.boxes, instances.areas
    for index, mask in enumerate(instances.masks):
        rle = coder.encode(np.asfortranarray(mask, dtype=np.uint8))
        left, top, right, bottom = boxes[index].tolist()
        yield {
            "image_id": image_id,
            "category_id": CATEGORY,
            "segmentation": {"size": list(mask.shape), "counts": rle["counts"].decode("ascii")},
            "area": int(areas[index]),
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": 0,
            "score": plain(instances.scores[index]),
        }
