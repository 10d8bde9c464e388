"""Masks with their classes, whatever file they come from or go to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from trace_edges.files import FileError
from trace_edges.formats.coco_models import CATEGORY
from trace_edges.formats.listing import ImageList, OneOrMany, bare, by_name, plain
from trace_edges.formats.truth import Finding, GroundTruthError
from trace_edges.formats.values import KEY, SHARE, Key
from trace_edges.inputs import FURTHER_SUFFIXES, IMAGE_SUFFIXES, result_names
from trace_edges.memory import free
from trace_edges.results import OBJECT as OBJECT_NAME
from trace_edges.results import Category, InstanceMasks
from trace_edges.results.labels import Crop, Window, painted

OBJECT = Category(CATEGORY, OBJECT_NAME, True)
COVERED = "masks that lie under others whole"
CUT = "masks that lie under others in part"
IMAGE_IDS, MASK_IDS = "ids of images", "ids of masks"
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True)
class Mark:
    """What is known of one mask beside its pixels.

    Attributes:
        category: its class.
        crowd: it is of many objects that were not told apart.
        id: of the annotation, where the file gives one.
    """

    category: Category = OBJECT
    crowd: bool = False
    id: Key | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """The masks of one image and what is known of each.

    Attributes:
        name: of the image, without suffix.
        masks: with scores, 1 where the file has none.
        marks: one for each mask.
        file_name: of the photograph, where the file gives it.
        id: of the image, where the file gives it.
    """

    name: str
    masks: InstanceMasks
    marks: tuple[Mark, ...]
    file_name: str | None = None
    id: Key | None = None

    def __post_init__(self) -> None:
        if len(self.marks) != len(self.masks):
            raise ValueError(f"{len(self.masks)} masks need as many marks, not {len(self.marks)}")

    @property
    def photograph(self) -> str:
        """The name of its file, as far as is known."""
        return self.file_name or (self.name if bare(self.name) != self.name else f"{self.name}.jpg")

    def file_in(self, photographs: Mapping[str, Path]) -> Path | None:
        """Its photograph of those of `photographs_in`, which may have others of the same stem."""
        whole = photographs.get(self.photograph)
        if whole is not None and whole.name == self.photograph.rpartition("/")[2]:
            return whole
        return photographs.get(self.name) or photographs.get(bare(self.photograph))

    def __iter__(self) -> Iterator[tuple[Crop, Window, float, Mark]]:
        """Each mask within its box, the rows and columns of that, its score and mark."""
        scores = map(plain, self.masks.scores)
        yield from zip(self.masks.crops, self.masks.windows, scores, self.marks, strict=True)

    def only(self, kept: Sequence[bool]) -> Labelled:
        """With some of the masks."""
        marks = tuple(mark for mark, keep in zip(self.marks, kept, strict=True) if keep)
        return Labelled(self.name, self.masks[list(kept)], marks, self.file_name, self.id)


@dataclass(frozen=True)
class LabelledSet:
    """Images with their masks, read one after the other.

    Attributes:
        categories: those that the file lists, in its order; more may come with the images.
        images: each image, or what is wrong with one or with a mask of one.
    """

    categories: Sequence[Category]
    images: Iterable[Labelled | Finding]


@dataclass(frozen=True)
class Reading:
    """What readers are given beside the path.

    Attributes:
        photographs: the files of the images by name, for formats that do not say how large an
            image is.
        content: of a JSON that was read already.
    """

    photographs: Mapping[str, Path] = field(default_factory=dict)
    content: Any = None


@dataclass(frozen=True)
class Writing:
    """What writers are given beside the images.

    Attributes:
        out: folder, or file where it has the suffix of the format's one file.
        categories: all of the set, known once the images have been taken.
        polygons: write masks as polygons where a polygon is exactly the mask.
        image_root: what comes before the file name where an image is looked for.
        photographs: the files of the images by name.
        lost: is told how many masks lost what.
    """

    out: Path
    categories: Callable[[], Sequence[Category]]
    polygons: bool = False
    image_root: str = ""
    photographs: Mapping[str, Path] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)

    def file(self, name: str) -> Path:
        """The one file of a format: `out` itself, or the file of that name in it."""
        return self.out if self.out.suffix == Path(name).suffix else self.out / name


class Categories:
    """The categories of a file by whatever it calls them, each with an id of its own."""

    def __init__(self) -> None:
        self._known: dict[Key, Category] = {}
        self._taken: set[int] = set()

    def __call__(self, key: Key, name: str | None = None, thing: bool = True) -> Category:
        """The category that the file calls `key`; a new one gets that as id if it can be one."""
        if key not in self._known:
            number = key if isinstance(key, int) and 0 <= key <= _LARGEST_ID else CATEGORY
            while number in self._taken:
                number += 1
            self._taken.add(number)
            self._known[key] = Category(number, name or str(key), thing)
        return self._known[key]

    @property
    def all(self) -> tuple[Category, ...]:
        """All that were asked for, in that order."""
        return tuple(self._known.values())


def given(
    masks: OneOrMany[InstanceMasks],
    category: str = OBJECT_NAME,
    file_names: Mapping[str, str] | None = None,
    image_ids: Mapping[str, int] | None = None,
) -> tuple[Iterator[Labelled], Callable[[], Sequence[Category]]]:
    """Results as writers take them, image by image in the order of the names, and their classes.

    Args:
        masks: one result, several, or a mapping by image name, without a suffix, which may make
            them as they are asked for; the images of a list are called 000001, 000002, ...
        category: name of the class 1, of masks whose class is not known. Other classes follow in
            the order in which they come.
        file_names, image_ids: as in `ImageList`.

    Raises:
        ValueError: names or ids of images will not do.
    """
    masks = by_name(masks)
    listed, categories = ImageList(masks, file_names, image_ids), Categories()
    categories(OBJECT_NAME, category)

    def images() -> Iterator[Labelled]:
        for name, number in listed.ids.items():
            found = masks[name]
            marks = tuple(Mark(categories(one)) for one in found.classes)
            yield Labelled(name, found, marks, listed.file_names[name], number)

    return images(), lambda: categories.all


def flattened(image: Labelled, numbers: Sequence[int], writing: Writing) -> np.ndarray:
    """The masks of an image in one map (h, w) (`painted`); what is lost is counted."""
    masks = image.masks
    crowds = [mark.crowd for mark in image.marks]
    ids = painted(masks.windows, masks.crops, masks.shape, numbers, crowds)
    left = np.bincount(ids.ravel(), minlength=max(numbers, default=0) + 1)[list(numbers)]
    writing.lost[COVERED] += int((left == 0).sum())
    writing.lost[CUT] += int(((left > 0) & (left < masks.areas)).sum())
    return ids


class MaskList:
    """The masks of one image as they are read, within the bounds of it and of memory."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._windows: list[Window] = []
        self._crops: list[Crop] = []
        self._scores: list[float] = []
        self._marks: list[Mark] = []
        self._pixels = 0

    def add(
        self, crop: Bool[np.ndarray, "a b"], corner: tuple[int, int], score: float, mark: Mark
    ) -> None:
        """Take a mask: what it has in a window whose (top, left) is `corner`.

        Raises:
            ValueError: it has no pixel in the image, or is too much for the memory.
        """
        inside, (top, left) = within(crop, corner, self.size)
        rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            raise ValueError("has no pixel in the image")
        first, last = (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)
        inside = inside[first[0] : last[0], first[1] : last[1]]
        self._pixels += inside.size
        if 3 * self._pixels > free():
            raise ValueError("makes more masks than fit into the memory")
        self._windows.append(
            (slice(top + first[0], top + last[0]), slice(left + first[1], left + last[1]))
        )
        self._crops.append(inside.copy())
        self._scores.append(score)
        self._marks.append(mark)

    def labelled(self, name: str, file_name: str | None = None, id: Key | None = None) -> Labelled:
        """All of them."""
        masks = InstanceMasks.cropped(
            self._windows, self._crops, self.size, np.array(self._scores, dtype=np.float32)
        )
        return Labelled(name, masks, tuple(self._marks), file_name, id)


def within(
    crop: Bool[np.ndarray, "a b"], corner: tuple[int, int], size: tuple[int, int]
) -> tuple[Bool[np.ndarray, "c d"], tuple[int, int]]:
    """What a window whose (top, left) is `corner` has in the image, and where that begins."""
    top, left = corner
    inside = crop[max(0, -top) : max(0, size[0] - top), max(0, -left) : max(0, size[1] - left)]
    return inside, (max(top, 0), max(left, 0))


def image_name(file_name: str) -> str:
    """What the image of a file is called: its path without the suffix of an image."""
    return bare(file_name.replace("\\", "/").lstrip("/"))


def photographs_in(folder: Path) -> dict[str, Path]:
    """The photographs of a folder and those below it by name: without suffix, but for those that
    differ in nothing else.
    """
    from trace_edges.formats.folders import list_files

    files = list_files(folder, (*IMAGE_SUFFIXES, *FURTHER_SUFFIXES), recursive=True)
    below = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: below[file] for file, name in result_names(below).items()}


def left_out(subject: object, what: str) -> Finding:
    """That parts of an image that are no masks are passed over, such as "3 shapes"."""
    problem = f"has {what} that are no masks"
    return Finding(str(subject), problem, "none is needed: they are left out", "warning")


def given_key(entry: Mapping[str, Any], name: str) -> Key | None:
    """The id that an entry gives, if it is one."""
    try:
        return KEY.validate_python(entry[name])
    except (KeyError, ValueError):
        return None


def given_score(score: Any) -> float:
    """A score in [0, 1]; 1 where there is none.

    Raises:
        ValueError: it is another.
    """
    return SHARE.validate_python(1.0 if score is None else score)


def finding_of(error: Exception, subject: object) -> Finding:
    """What is wrong with one image of a set, of the error that it raised."""
    if isinstance(error, GroundTruthError):
        return error.finding
    if isinstance(error, FileError):
        return Finding(str(error.path), error.problem, error.mend)
    return Finding(str(subject), " ".join(str(error).split()), "mend it or leave it out")
