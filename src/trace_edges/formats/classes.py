"""Which category the class numbers of semantic maps stand for, and which have instances."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Int32
from pydantic import TypeAdapter

from trace_edges.files import FileError, read_json
from trace_edges.formats.coco_models import NAMED_CATEGORY, PanopticCategory
from trace_edges.formats.entries import refuse_unsound, shown, sound_entries
from trace_edges.formats.pixels import UNLABELLED
from trace_edges.formats.voc import CLASS_NAMES
from trace_edges.results import VOID, Category

# COCO's 80 things have the ids 1 ... 90 without ten that were never used.
_COCO_UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_COCO_THINGS = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


AnyCategory = TypeVar("AnyCategory", bound=PanopticCategory)


@dataclass(frozen=True)
class ClassTable:
    """The categories that the numbers in a semantic map stand for.

    Attributes:
        categories: every class, in the order of the data set.
        by_number: category id of each class number. 0 may be missing: then the background belongs
            to no segment. So does what is of no known class, 255.
    """

    categories: tuple[Category, ...]
    by_number: Mapping[int, int]

    def __post_init__(self) -> None:
        ids = [category.id for category in self.categories]
        if not ids or len(set(ids)) < len(ids):
            raise ValueError("a table of classes lists at least one, each with an id of its own")
        if UNLABELLED in self.by_number:
            raise ValueError(
                f"class {UNLABELLED} means pixels of no known class: give it another number"
            )

    @property
    def things(self) -> frozenset[int]:
        """Ids of the categories with instances."""
        return frozenset(category.id for category in self.categories if category.thing)

    @property
    def stuff(self) -> frozenset[int]:
        """Ids of the others."""
        return frozenset(category.id for category in self.categories if not category.thing)

    def categories_of(self, numbers: Int32[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
        """The category id of every pixel of a semantic map (`read_semantic`), `VOID` for none.

        Raises:
            ValueError: a class is not in the table.
        """
        if odd := set(np.unique(numbers).tolist()) - {*self.by_number, 0, UNLABELLED}:
            raise ValueError(f"has class {min(odd)}, which the table of classes lacks: add it")
        table = np.full(UNLABELLED + 1, VOID, dtype=np.int32)
        for number, category in self.by_number.items():
            if 0 <= number < UNLABELLED:
                table[number] = category
        return table[numbers]


def class_table(name: Literal["coco", "voc"]) -> ClassTable:
    """A table that is known by name.

    "coco": classes 1 ... 80 are COCO's things in their order, as the maps of DHR, MARS and IRN have
    them, with COCO's own ids; the background is no stuff class of COCO. "voc": 1 ... 20 are VOC's
    classes, and 0 is the background, the one stuff class of its panoptic protocol.
    """
    if name == "coco":
        ids = [number for number in range(1, 91) if number not in _COCO_UNUSED]
        listed = zip(ids, _COCO_THINGS, strict=True)
        return _contiguous([Category(number, thing, True) for number, thing in listed])
    things = [Category(number, thing, True) for number, thing in enumerate(CLASS_NAMES, 1)]
    return _identical([*things, Category(0, "background", False)])


def table_of_numbers(things: Collection[int], stuff: Collection[int] = ()) -> ClassTable:
    """Classes that have no names; their numbers are their ids.

    Raises:
        ValueError: no class is listed, or one on both lists.
    """
    if both := set(things) & set(stuff):
        raise ValueError(f"class {min(both)} is listed as a thing and as stuff: list it once")
    numbers = sorted({*things, *stuff})
    return _identical([Category(number, f"class {number}", number in things) for number in numbers])


def read_class_table(path: Path, *, contiguous: bool = False) -> ClassTable:
    """The table of a JSON with COCO's `categories`: a list of id, name and isthing (1 or 0).

    Args:
        path: the list itself, or any COCO JSON that has it, such as panoptic_val2017.json.
        contiguous: maps number the categories 1, 2, ... in the order of the list; otherwise a
            class number is the id of its category.

    Raises:
        OSError: it cannot be read.
        ValueError: it is of another form.
    """
    content = read_json(path)
    if isinstance(content, list):
        content = {"categories": content}
    if not isinstance(content, dict):
        mend = "give a list of categories, each with id, name and isthing (1 or 0)"
        raise FileError(path, f"is {shown(content)} and not a table of classes", mend)
    categories = read_categories(NAMED_CATEGORY, content, path)
    try:
        return _contiguous(categories) if contiguous else _identical(categories)
    except ValueError as error:
        raise FileError(path, "is not a table of classes", str(error)) from error


def read_categories(
    model: TypeAdapter[AnyCategory], content: Mapping[str, Any], path: str | PathLike[str]
) -> tuple[Category, ...]:
    """The categories of a JSON, in its order; those without a name are called by their ids.

    Raises:
        ValueError: an entry is not what the model says, or two have one id.
    """
    entries, findings = sound_entries(model, content, "categories", path)
    refuse_unsound(findings)
    if len({one.id for one in entries}) < len(entries):
        raise FileError(path, "gives one id to several categories", "renumber them")
    return tuple(Category(one.id, one.name or str(one.id), one.isthing) for one in entries)


def _contiguous(categories: Sequence[Category]) -> ClassTable:
    numbers = {number: category.id for number, category in enumerate(categories, 1)}
    return ClassTable(tuple(categories), numbers)


def _identical(categories: Sequence[Category]) -> ClassTable:
    return ClassTable(tuple(categories), {category.id: category.id for category in categories})
