"""COCO's instance masks, written and read: annotations JSON, and results lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from trace_edges.files import write_json
from trace_edges.formats.coco_file import CocoFile, image_names, open_coco
from trace_edges.formats.coco_masks import mask_sizes, stacked
from trace_edges.formats.coco_models import (
    CATEGORY,
    CATEGORY_MASK,
    LISTED_CATEGORY,
    LISTED_IMAGE,
    CategoryMask,
    ListedImage,
)
from trace_edges.formats.coco_set import coco_entries, write_coco
from trace_edges.formats.entries import entry_name, refuse_unsound, sound_entries
from trace_edges.formats.labelled import Writing, given
from trace_edges.formats.listing import Entry, OneOrMany
from trace_edges.formats.truth import Finding
from trace_edges.formats.values import Key
from trace_edges.results import InstanceMasks

_RESULT_KEYS = ("image_id", "category_id", "segmentation", "bbox", "score")


def export_coco(
    masks: OneOrMany[InstanceMasks],
    path: str | PathLike[str],
    *,
    file_names: Mapping[str, str] | None = None,
    image_ids: Mapping[str, int] | None = None,
    category: str = "object",
) -> None:
    """Write COCO instances: images, annotations, and their classes as categories.

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
        category: name of the category 1, of masks whose class is not known. Other classes follow in
            the order in which they come.

    Raises:
        ImportError: pycocotools is not installed.
        OSError: the file cannot be written.
        ValueError: names or ids of images will not do.
    """
    images, categories = given(masks, category, file_names, image_ids)
    write_coco(images, Writing(Path(path), categories), Path(path).name)


def export_coco_results(
    masks: OneOrMany[InstanceMasks],
    path: str | PathLike[str],
    *,
    image_ids: Mapping[str, int] | None = None,
) -> None:
    """Write a COCO results list: what `loadRes` takes, with a score for every mask, and the
    numbers of classes that `export_coco` gives.

    A results list names images by id alone and none without masks; give the ids of the ground
    truth where they are not the numbers that the names are. Arguments and errors: `export_coco`.
    """
    images, _ = given(masks, image_ids=image_ids)
    results = []
    for image in images:
        numbers = (mark.category.id for mark in image.marks)
        categories = dict(zip(image.masks.classes, numbers, strict=True))
        for entry in coco_entries(image.masks, categories):
            results.append({key: ({"image_id": image.id} | entry)[key] for key in _RESULT_KEYS})
    write_json(results, path)


def read_coco_masks(
    path: str | PathLike[str], *, images: str | PathLike[str] | None = None
) -> dict[str, InstanceMasks]:
    """The masks of every image of a COCO annotations JSON or results list, or of SAM's own JSON.

    Masks stay in the order of the file, with the names of their categories as classes, "object"
    where the file lists none. Scores are 1 where there are none. Crowds and masks
    without a pixel are left out, since neither is an instance. Images that are listed with width
    and height swapped, as MaskCut's are, are read all the same: their RLE tells.

    Args:
        path: of the JSON.
        images: a COCO JSON that lists the images, for a file that does not: a results list.

    Returns:
        By image name: the stem of its file name, or its id where no image is listed; the path
        without suffix where files of several folders have one stem. Listed images without masks
        come too, unlisted ones cannot.

    Raises:
        ImportError: masks are polygons and pycocotools is not installed.
        OSError: a file cannot be read.
        ValueError: a file is of another form, two images have one name, or an entry is not sound;
            the line names the first.
    """
    masks = CocoMasks(path, images)
    refuse_unsound(masks.findings)
    found = {}
    for name in masks.ids:
        found[name], findings = masks.read(name)
        refuse_unsound(findings)
    return found


class CocoMasks:
    """A COCO JSON whose masks are decoded when their image's turn comes.

    Entries that are not sound are left out and reported; what is wrong with the code of a mask is
    found when it is decoded. Arguments are those of `read_coco_masks`.

    Attributes:
        path: of the JSON.
        ids: of each image of which the size is known, by its name.
        files: of the images, by id; None where the file gives none.
        sizes: (height, width) of these images by id.
        scored: whether any mask has a score.
        names: of the categories that the file lists, by id.
        findings: what is wrong with the file.

    Raises:
        OSError: a file cannot be read.
        GroundTruthError: it is no JSON or holds no list of masks, or two images have one id or one
            name.
    """

    def __init__(
        self, path: str | PathLike[str], images: str | PathLike[str] | None = None
    ) -> None:
        file = open_coco(path, LISTED_IMAGE, CATEGORY_MASK, listing=images)
        self.path, self._file = path, file
        self._masks: dict[Key, list[CategoryMask]] = defaultdict(list)
        for mask in file.masks:
            self._masks[mask.image_id].append(mask)
        self.sizes = mask_sizes(file.images, self._masks)
        self.files = {key: image.file_name for key, image in file.images.items()}
        names = image_names(self.files or dict.fromkeys(self._masks), file.name)
        self.ids = {name: key for key, name in names.items() if key in self.sizes}
        self.scored = any(mask.score is not None for mask in file.masks)
        self.findings = [*file.findings, *self._unsized()]
        self._image_ids, self._category_ids, self.names = _written_ids(file)

    def _unsized(self) -> Iterator[Finding]:
        """What is wrong with images whose size nothing tells."""
        for key, image in self._file.images.items():
            if key not in self.sizes:
                name = entry_name("images", image.place, image.id)
                problem = f"{name} lacks height or width, and no RLE tells"
                yield Finding(self._file.name, problem, "add them")
        for mask in self._file.masks:
            if not self._file.images and mask.image_id not in self.sizes:
                problem = f"{mask.name} is a polygon and its image is not listed"
                yield Finding(self._file.name, problem, "name a file that lists the images")

    def count(self, name: str) -> int:
        """How many masks an image has, crowds left out."""
        return sum(not mask.iscrowd for mask in self._masks.get(self.ids[name], []))

    def read(self, name: str) -> tuple[InstanceMasks, list[Finding]]:
        """The masks of an image, crowds left out, and what is wrong with those that are none.

        Raises:
            ValueError: together they need more memory than there is.
        """
        return self._stacked(name, self._masks.get(self.ids[name], []))

    def read_by_category(self, name: str) -> tuple[dict[Key, InstanceMasks], list[Finding]]:
        """As `read`, the masks by the category that they are of."""
        masks: dict[Key, list[CategoryMask]] = defaultdict(list)
        for mask in self._masks.get(self.ids[name], []):
            masks[mask.category_id].append(mask)
        read = {category: self._stacked(name, own) for category, own in masks.items()}
        findings = [finding for _, own in read.values() for finding in own]
        return {category: instances for category, (instances, _) in read.items()}, findings

    def _stacked(
        self, name: str, masks: Iterable[CategoryMask]
    ) -> tuple[InstanceMasks, list[Finding]]:
        instances = [mask for mask in masks if not mask.iscrowd]
        return stacked(instances, self.sizes[self.ids[name]], self._file.name, self.names)

    def entries(self, name: str, category: Key, instances: InstanceMasks) -> Iterator[Entry]:
        """COCO's annotations of an image and category, whose ids are as the file writes them."""
        number = self._image_ids[self.ids[name]]
        for entry in coco_entries(instances):
            own = {"category_id": self._category_ids.get(category, category)}
            yield {"image_id": number, **entry, **own}

    def replaced(self, masks: Mapping[str, Sequence[Entry]]) -> Any:
        """The content with other masks, and of these images only.

        Crowds stay, swapped sizes of images are put right, and scores are left out where the JSON
        has none.

        Args:
            masks: COCO's annotations of them by image name, as `entries` makes them.
        """
        content = self._file.content
        if not isinstance(content, Mapping):
            kept = [key for key in _RESULT_KEYS if key != "score" or self.scored]
            return [{key: entry[key] for key in kept} for own in masks.values() for entry in own]
        annotations: list[Entry] = []
        for name, entries in masks.items():
            own = self._masks.get(self.ids[name], [])
            crowds = [content["annotations"][mask.place] for mask in own if mask.iscrowd]
            for entry in [*entries, *crowds]:
                numbered = {**entry, "id": len(annotations) + 1}
                if not self.scored:
                    numbered.pop("score", None)
                annotations.append(numbered)
        done = {self.ids[name] for name in masks}
        images = [
            {**entry, "height": self.sizes[key][0], "width": self.sizes[key][1]}
            for key, entry in self._file.image_entries.items()
            if key in done
        ]
        return {**content, "images": images, "annotations": annotations}


def _written_ids(
    file: CocoFile[ListedImage, CategoryMask],
) -> tuple[dict[Key, Any], dict[Key, Any], dict[Key, str]]:
    """The ids of images and of categories as they are written, since text may stand for a number;
    and the names of categories.
    """
    content = file.content if isinstance(file.content, Mapping) else {"annotations": file.content}
    given = content["annotations"]
    images = {mask.image_id: given[mask.place]["image_id"] for mask in file.masks}
    if isinstance(file.content, Mapping):
        images |= {key: entry["id"] for key, entry in file.image_entries.items()}
    categories = {
        mask.category_id: given[mask.place].get("category_id", CATEGORY) for mask in file.masks
    }
    listed, _ = sound_entries(LISTED_CATEGORY, content, "categories", file.name)
    own = {one.id: content["categories"][one.place] for one in listed}
    categories |= {key: entry["id"] for key, entry in own.items()}
    return images, categories, {key: str(entry.get("name", key)) for key, entry in own.items()}
