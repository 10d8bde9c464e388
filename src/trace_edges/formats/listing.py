"""Names and numbers of images in the formats that list them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np

from trace_edges.inputs import FURTHER_SUFFIXES, IMAGE_SUFFIXES
from trace_edges.results import InstanceMasks, PanopticMap

Entry = dict[str, Any]
Result = TypeVar("Result")
OneOrMany: TypeAlias = Result | Iterable[Result] | Mapping[str, Result]


def by_name(results: OneOrMany[Result]) -> Mapping[str, Result]:
    """Results by image name, from what a writer is given: one result, several, or a mapping.

    A mapping stays as it is. Without names the images are called 000001, 000002, ... in order.

    Raises:
        TypeError: `results` is an array, which could be the masks of one image or of several.
    """
    if isinstance(results, Mapping):
        return results
    if isinstance(results, np.ndarray):
        raise TypeError("an array is not a result: give InstanceMasks, of labels for instance "
                        "InstanceMasks.from_labels(labels)")  # fmt: skip
    # The masks of one image can be taken one by one as well: they are one result all the same.
    whole = isinstance(results, str | InstanceMasks | PanopticMap)
    several: Iterable[Any] = results if not whole and isinstance(results, Iterable) else [results]
    return {f"{number:06d}": result for number, result in enumerate(several, 1)}


class ImageList:
    """The images of one COCO file: an id and a file name for every image name.

    The name of an image is what its results are filed under, without a suffix, as in
    `trace_edges.inputs.Found`.
    """

    def __init__(
        self,
        names: Iterable[str],
        file_names: Mapping[str, str] | None = None,
        ids: Mapping[str, int] | None = None,
    ) -> None:
        """List the images.

        Args:
            names: of the images.
            file_names: the file of each name; where it gives none NAME.jpg, or the name itself if
                it has the suffix of an image.
            ids: the number of each name. By default the number that the name is, as COCO's
                000000000139 is 139, if all names are numbers; else 1, 2, ... in sorted order.

        Raises:
            ValueError: a name leads out of a folder, `ids` lacks one, or two images share an id.
        """
        ordered = sorted(names)
        for name in ordered:
            check_name(name)
        own = {name: name if bare(name) != name else f"{name}.jpg" for name in ordered}
        self.file_names = own | {k: v for k, v in (file_names or {}).items() if k in own}
        ids = _numbered(ordered) if ids is None else ids
        self.ids: dict[str, int] = {}
        holders: dict[int, str] = {}
        for name in ordered:
            if name not in ids:
                raise ValueError(f"image {name} has no id: give image_ids of all images")
            number = self.ids[name] = ids[name]
            if number in holders:
                raise ValueError(f"images {holders[number]} and {name} have the id {number}: "
                                 "give each its own")  # fmt: skip
            holders[number] = name

    def entry(self, name: str, size: tuple[int, int]) -> Entry:
        """COCO's entry of an image of (height, width)."""
        height, width = size
        return {
            "id": self.ids[name],
            "file_name": self.file_names[name],
            "height": height,
            "width": width,
        }


def check_name(name: str) -> None:
    """Refuse a name that is no file name or path below a folder (day1/cat).

    Raises:
        ValueError: it is none.
    """
    if "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"the image name {name!r} leads out of the folder of results: rename it")


def bare(name: str) -> str:
    """The name of an image without the suffix of an image file, if it has one."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot + suffix.lower() in (*IMAGE_SUFFIXES, *FURTHER_SUFFIXES) else name


def plain(value: float) -> float:
    """A float32 as the shortest decimal that reads back as it: 0.9, not 0.8999999761581421."""
    return float(str(value))


def _numbered(names: list[str]) -> dict[str, int]:
    bared = [bare(name) for name in names]
    numbers = {int(name) for name in bared if name.isascii() and name.isdigit()}
    if len(numbers) == len(names):
        return {name: int(bare(name)) for name in names}
    return {name: number for number, name in enumerate(names, 1)}
