"""COCO's instance masks, written and read: annotations JSON, and results lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

from trace_edges.files import read_json, write_json
from trace_edges.formats.coco_images import (
    coco_instances,
    image_names,
    image_sizes,
    listed_images,
)
from trace_edges.formats.listing import Entry, ImageList, OneOrMany, by_name, plain
from trace_edges.formats.rle import encode_mask
from trace_edges.results import InstanceMasks

CATEGORY = 1  # of every mask: evaluators that find no category 0 in a ground truth score nothing
_RESULT_KEYS = ("image_id", "category_id", "segmentation", "bbox", "score")


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
    results = [
        {key: entry[key] for key in _RESULT_KEYS}
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
    masks = CocoMasks(path, images)
    return {name: masks.read(name) for name, key in masks.ids.items() if key in masks.sizes}


class CocoMasks:
    """A COCO JSON whose masks are decoded when their image's turn comes.

    Arguments and errors are those of `read_coco_masks`; what is wrong with a mask is found when it
    is decoded.

    Attributes:
        path: of the JSON.
        content: of the JSON.
        ids: of each image, by its name.
        sizes: (height, width) of the images by id; one with nothing but crowds may be missing.
        scored: whether any mask has a score.
    """

    def __init__(
        self, path: str | PathLike[str], images: str | PathLike[str] | None = None
    ) -> None:
        self.path, self.content = path, read_json(path)
        given = self.content
        annotations = given.get("annotations") if isinstance(given, Mapping) else given
        if not isinstance(annotations, list):
            raise ValueError(f"{path} holds no masks: give a COCO results list or annotations JSON")
        listed = listed_images(path, given) if images is None else listed_images(images)
        self._crowds: dict[Any, list[Entry]] = defaultdict(list)
        self._masks: dict[Any, list[tuple[int, Entry]]] = defaultdict(list)
        for place, entry in enumerate(annotations):
            what = f"{path}: annotation {place}"
            if not isinstance(entry, Mapping) or not {"image_id", "segmentation"} <= entry.keys():
                raise ValueError(
                    f"{what} lacks image_id or segmentation: COCO's format asks for both"
                )
            if listed and entry["image_id"] not in listed:
                raise ValueError(
                    f"{what} is of image {entry['image_id']!r}, which is not listed: list it"
                )
            if entry.get("iscrowd", 0):
                self._crowds[entry["image_id"]].append(dict(entry))
            else:
                self._masks[entry["image_id"]].append((place, dict(entry)))
        self.sizes = image_sizes(path, listed, self._masks)
        names = image_names(path, listed, {**self._masks, **self._crowds})
        self.ids = {name: key for key, name in names.items()}
        self.scored = any("score" in entry for entry in annotations)

    def read(self, name: str) -> InstanceMasks:
        """The masks of an image, crowds left out."""
        key = self.ids[name]
        return coco_instances(self.path, key, self._masks.get(key, []), self.sizes[key])

    def read_by_category(self, name: str) -> dict[int, InstanceMasks]:
        """The masks of an image by the category they are of."""
        key = self.ids[name]
        entries: dict[int, list[tuple[int, Entry]]] = defaultdict(list)
        for place, entry in self._masks.get(key, []):
            entries[int(entry.get("category_id", CATEGORY))].append((place, entry))
        return {
            category: coco_instances(self.path, key, own, self.sizes[key])
            for category, own in entries.items()
        }

    def replaced(self, masks: Mapping[str, Sequence[Entry]]) -> Any:
        """The content with other masks, and of these images only.

        Crowds stay, swapped sizes of images are put right, and scores are left out where the JSON
        has none.

        Args:
            masks: COCO's annotations of them by image name, as `coco_entries` makes them.
        """
        if not isinstance(self.content, Mapping):
            kept = [key for key in _RESULT_KEYS if key != "score" or self.scored]
            return [{key: entry[key] for key in kept} for own in masks.values() for entry in own]
        annotations: list[Entry] = []
        for name, entries in masks.items():
            for entry in [*entries, *self._crowds.get(self.ids[name], [])]:
                numbered = {**entry, "id": len(annotations) + 1}
                if not self.scored:
                    numbered.pop("score", None)
                annotations.append(numbered)
        done = {self.ids[name] for name in masks}
        images = [
            {**entry, "height": self.sizes[entry["id"]][0], "width": self.sizes[entry["id"]][1]}
            for entry in self.content.get("images", [])
            if entry["id"] in done
        ]
        return {**self.content, "images": images, "annotations": annotations}
