"""Refine the masks of a COCO JSON: of a detector, of CutLER, UnSAM, MaskCut or ProMerge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trace_edges.files import read_json, write_json
from trace_edges.formats.coco import (
    coco_entries,
    coco_instances,
    image_names,
    image_sizes,
    listed_images,
)
from trace_edges.formats.listing import Entry
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.refine import refine_instances
from trace_edges.jobs.refine_images import (
    Done,
    EdgeFolder,
    ImageOutcome,
    Progress,
    one_by_one,
    write_settings,
)
from trace_edges.results import InstanceMasks

_RESULT_KEYS = ("image_id", "category_id", "segmentation", "bbox", "score")


def refine_coco(
    masks: Path,
    edges: Path,
    out: Path,
    propagation: Propagation = PROPAGATION,
    *,
    iou: float = 0.5,
    images: Path | None = None,
    progress: Progress | None = None,
) -> list[ImageOutcome]:
    """Cut the masks of every image at its edges (`refine_instances`).

    Writes a JSON of the form that was given, annotations or a results list, and OUT.settings.json
    beside it. Ids and names of images and categories stay; masks are compressed RLE, and have
    scores where the file has any. Masks of two categories are not merged, crowds stay as they are,
    and swapped sizes of images are put right. Images that fail are left out.

    Args:
        masks: the JSON; see `read_coco_masks` for what is read.
        edges: folder of edge maps (`EdgeFolder`), by the stem of the image's file name, or by its
            id where no image is listed.
        out: another JSON.
        iou: above which overlapping masks are merged.
        images: a COCO JSON that lists the images, for a results list.
        progress: called after each image with how many are done, and how many there are.

    Returns:
        One outcome per image.

    Raises:
        ImportError: pycocotools is not installed.
        OSError: a file cannot be read or written.
        ValueError: a file is of another form, there are no edges, or `out` is `masks`.
    """
    if out.resolve() == masks.resolve():
        raise ValueError(f"{out} holds the masks that are to be refined: give another name")
    given, folder = _CocoMasks(masks, images), EdgeFolder(edges)

    def work(name: str) -> Done[list[Entry]]:
        strengths, before, entries = folder.read_lines(name, propagation), 0, []
        for category, instances in given.read(name).items():
            try:
                refined = refine_instances(instances, strengths, propagation=propagation, iou=iou)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            before += len(instances)
            entries += [
                {**entry, "category_id": category}
                for entry in coco_entries(refined, given.keys[name])
            ]
        return Done(entries, before, len(entries))

    outcomes: list[ImageOutcome] = []
    refined = dict(one_by_one(given.keys, work, outcomes, progress))
    if refined:
        write_json(given.replaced(refined), out)
        settings = {"propagation": asdict(propagation), "iou": iou}
        beside = out.with_suffix(".settings.json")
        write_settings(beside, {"masks": masks, "edges": edges}, settings, outcomes)
    return outcomes


class _CocoMasks:
    """A COCO JSON whose masks are decoded when their image's turn comes.

    Attributes:
        keys: the id of each image, by its name.
    """

    def __init__(self, path: Path, images: Path | None) -> None:
        self.path, self.content = path, read_json(path)
        given = self.content
        entries = given.get("annotations") if isinstance(given, Mapping) else given
        if not isinstance(entries, list):
            raise ValueError(f"{path} holds no masks: give COCO annotations or a results list")
        listed = listed_images(
            path if images is None else images, given if images is None else None
        )
        self._crowds: dict[Any, list[Entry]] = defaultdict(list)
        self._entries: dict[Any, list[tuple[int, Entry]]] = defaultdict(list)
        for place, entry in enumerate(entries):
            if not isinstance(entry, Mapping) or not {"image_id", "segmentation"} <= entry.keys():
                raise ValueError(f"{path}: annotation {place} lacks image_id or segmentation")
            if listed and entry["image_id"] not in listed:
                raise ValueError(f"{path}: annotation {place} is of image {entry['image_id']!r}, "
                                 "which is not listed: list it")  # fmt: skip
            if entry.get("iscrowd", 0):
                self._crowds[entry["image_id"]].append(dict(entry))
            else:
                self._entries[entry["image_id"]].append((place, dict(entry)))
        self._sizes = image_sizes(path, listed, self._entries)
        named = image_names(path, listed, dict.fromkeys([*self._entries, *self._crowds]))
        self.keys = {name: key for key, name in named.items()}
        self._scored = any("score" in entry for entry in entries)

    def read(self, name: str) -> dict[int, InstanceMasks]:
        """The masks of an image by category."""
        key = self.keys[name]
        by_category: dict[int, list[tuple[int, Entry]]] = defaultdict(list)
        for place, entry in self._entries.get(key, []):
            by_category[int(entry.get("category_id", 1))].append((place, entry))
        return {
            category: coco_instances(self.path, key, entries, self._sizes[key])
            for category, entries in by_category.items()
        }

    def replaced(self, refined: Mapping[str, list[Entry]]) -> Any:
        """The content with other masks, of these images only."""
        if not isinstance(self.content, Mapping):
            kept = [key for key in _RESULT_KEYS if key != "score" or self._scored]
            return [
                {key: entry[key] for key in kept}
                for entries in refined.values()
                for entry in entries
            ]
        annotations: list[Entry] = []
        for name, entries in refined.items():
            for entry in [*entries, *self._crowds.get(self.keys[name], [])]:
                numbered = {**entry, "id": len(annotations) + 1}
                if not self._scored:
                    numbered.pop("score", None)
                annotations.append(numbered)
        done = {self.keys[name] for name in refined}
        images = [
            {**entry, "height": self._sizes[entry["id"]][0], "width": self._sizes[entry["id"]][1]}
            for entry in self.content.get("images", [])
            if entry["id"] in done
        ]
        return {**self.content, "images": images, "annotations": annotations}
