"""Images that a COCO JSON lists, and the masks of one of them, checked and decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import PurePath
from typing import Any

import numpy as np
from jaxtyping import Bool

from trace_edges.files import read_json
from trace_edges.formats.coco_truth import decode_mask
from trace_edges.formats.listing import Entry
from trace_edges.formats.rle import RunsError, Size, decode_runs, mask_runs
from trace_edges.results import InstanceMasks


def listed_images(path: str | PathLike[str], content: Any = None) -> dict[Any, Entry]:
    """The entries of `images` by id, of the content or of the file; none where there is no list."""
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
    """The name of every image by id: the stem of its file name, or its id where none is listed."""
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
    """The masks of one image, but for those without a pixel, in the order of the file."""
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
