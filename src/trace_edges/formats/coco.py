"""COCO's instance masks, written and read: annotations JSON, and results lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import PurePath
from typing import Any

import numpy as np
from jaxtyping import Bool

from trace_edges.files import read_json, write_json
from trace_edges.formats.coco_truth import decode_mask
from trace_edges.formats.listing import Entry, ImageList, OneOrMany, by_name, plain
from trace_edges.formats.rle import RunsError, Size, decode_runs, encode_mask, mask_runs
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
    """COCO's annotations of one image, without ids of their own."""
    boxes, areas = instances.boxes, instances.areas
    for index, mask in enumerate(instances.masks):
        left, top, right, bottom = boxes[index].tolist()
        yield {
            "image_id": image_id,
            "category_id": CATEGORY,
            "segmentation": encode_mask(mask),
            "area": int(areas[index]),
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": 0,
            "score": plain(instances.scores[index]),
        }


def read_coco_masks(
    path: str | PathLike[str], *, images: str | PathLike[str] | None = None
) -> dict[str, InstanceMasks]:
    """The masks of every image of a COCO annotations JSON or results list.

    Masks stay in the order of the file. Scores are 1 where there are none. Crowds and masks
    without a pixel are left out, since neither is an instance. The size of an image is that of its
    RLE; a file whose `images` swap width and height, as MaskCut's does, is read all the same.

    Args:
        path: of the JSON.
        images: a COCO JSON that lists the images, for a file that does not: a results list.

    Returns:
        By image name: the stem of its file name, or its id where no image is listed. Listed images
        without masks come too, unlisted ones cannot.

    Raises:
        ImportError: masks are polygons and pycocotools is not installed.
        OSError: a file cannot be read.
        ValueError: a file is of another form, two images have one name, a mask cannot be decoded
            or has another size than its image, or a score is not in [0, 1].
    """
    content = read_json(path)
    annotations = content.get("annotations") if isinstance(content, Mapping) else content
    if not isinstance(annotations, list):
        raise ValueError(f"{path} holds no masks: give a COCO results list or annotations JSON")
    listed = listed_images(path if images is None else images, content if images is None else None)
    by_image: dict[Any, list[tuple[int, Entry]]] = defaultdict(list)
    for place, entry in enumerate(annotations):
        what = f"{path}: annotation {place}"
        if not isinstance(entry, Mapping) or not {"image_id", "segmentation"} <= entry.keys():
            raise ValueError(f"{what} lacks image_id or segmentation: COCO's format asks for both")
        if listed and entry["image_id"] not in listed:
            raise ValueError(
                f"{what} is of image {entry['image_id']!r}, which is not listed: list it"
            )
        if not entry.get("iscrowd", 0):
            by_image[entry["image_id"]].append((place, dict(entry)))
    sizes = image_sizes(path, listed, by_image)
    names = image_names(path, listed, by_image)
    return {
        name: coco_instances(path, key, by_image.get(key, []), sizes[key])
        for key, name in names.items()
    }


def listed_images(path: str | PathLike[str], content: Any) -> dict[Any, Entry]:
    """The entries of `images` by id; none where there is no such list."""
    content = read_json(path) if content is None else content
    entries = content.get("images", []) if isinstance(content, Mapping) else []
    for entry in entries:
        if not isinstance(entry, Mapping) or not {"id", "height", "width"} <= entry.keys():
            raise ValueError(f"{path}: an image lacks its id, height or width: add it")
    listed = {entry["id"]: dict(entry) for entry in entries}
    if len(listed) < len(entries):
        raise ValueError(f"{path} gives one id to several images: number them anew")
    return listed


def image_names(
    path: str | PathLike[str], listed: Mapping[Any, Entry], by_image: Mapping[Any, object]
) -> dict[Any, str]:
    names: dict[Any, str] = {}
    taken: dict[str, Any] = {}
    for key in listed or by_image:
        file_name = listed.get(key, {}).get("file_name")
        names[key] = PurePath(file_name).stem if file_name else str(key)
        if taken.setdefault(names[key], key) != key:
            raise ValueError(
                f"{path}: images {taken[names[key]]} and {key} are both called {names[key]}: "
                "rename one, names without folder and suffix must differ"
            )
    return names


def image_sizes(
    path: str | PathLike[str],
    listed: Mapping[Any, Entry],
    by_image: Mapping[Any, Sequence[tuple[int, Entry]]],
) -> dict[Any, Size]:
    """The size of every image: of its first RLE, else as listed, turned where the file swaps."""
    encoded: dict[Any, Size] = {}
    for key, entries in by_image.items():
        for place, entry in entries:
            if isinstance(drawn := entry["segmentation"], Mapping):
                encoded[key] = _rle_size(drawn, f"{path}: annotation {place}")
                break
    sizes = {key: (int(entry["height"]), int(entry["width"])) for key, entry in listed.items()}
    differing = [key for key, size in encoded.items() if key in sizes and sizes[key] != size]
    for key in differing:
        if encoded[key] != sizes[key][::-1]:
            raise ValueError(
                f"{path}: a mask of image {key} is {list(encoded[key])} and the image "
                f"{list(sizes[key])} (height, width): give masks of the size of the images"
            )
    if differing:
        sizes = {key: size[::-1] for key, size in sizes.items()}
    sizes.update(encoded)
    for key, entries in by_image.items():
        if key not in sizes:
            raise ValueError(f"{path}: annotation {entries[0][0]} is a polygon and its image is "
                             "not listed: name a file that lists the images")  # fmt: skip
    return sizes


def _rle_size(drawn: Mapping[str, Any], what: str) -> Size:
    size = drawn.get("size")
    if not isinstance(size, list) or len(size) != 2 or "counts" not in drawn:
        raise ValueError(f"{what} has an RLE without size or counts: encode the mask again")
    height, width = size
    return int(height), int(width)


def coco_instances(
    path: str | PathLike[str], key: Any, entries: Sequence[tuple[int, Entry]], size: Size
) -> InstanceMasks:
    masks, scores = [], []
    for place, entry in entries:
        what = f"{path}: annotation {place}"
        mask = _decoded(entry, size, key, what)
        if mask.any():
            masks.append(mask)
            scores.append(_score(entry, what))
    stacked = np.stack(masks) if masks else np.zeros((0, *size), dtype=np.bool_)  # (n, H, W)
    return InstanceMasks(stacked, np.array(scores, dtype=np.float32))


def _decoded(entry: Entry, size: Size, key: Any, what: str) -> Bool[np.ndarray, "h w"]:
    drawn = entry["segmentation"]
    if not isinstance(drawn, Mapping):
        height, width = size
        image = {"file_name": f"image {key}", "height": height, "width": width}
        try:
            return decode_mask({"id": entry.get("id", what), **entry}, image)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from error
    if (own := _rle_size(drawn, what)) != size:
        raise ValueError(f"{what} is {list(own)} and its image {list(size)} (height, width): "
                         "give masks of the size of the images")  # fmt: skip
    try:
        return decode_runs(mask_runs(drawn, size), size)
    except RunsError as error:
        problem = f"its counts do not fill {list(size)}: encode the mask again"
        raise ValueError(f"{what}: {problem}") from error
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def _score(entry: Entry, what: str) -> float:
    score = entry.get("score")
    if score is None:
        return 1.0
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f"{what} has the score {score!r}: scale all scores to [0, 1] by one rule")
    return float(score)
