"""Label maps as a set of masks: a 16-bit PNG for each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from trace_edges.formats.labelled import (
    Labelled,
    LabelledSet,
    Mark,
    Reading,
    Writing,
    finding_of,
)
from trace_edges.formats.labels import LARGEST, find_label_maps, read_masks, write_label_png
from trace_edges.formats.listing import bare
from trace_edges.formats.panoptic_set import painted
from trace_edges.formats.truth import Finding
from trace_edges.results import InstanceMasks


def write_label_maps(images: Iterable[Labelled], writing: Writing) -> list[Path]:
    """Write OUT/NAME.png for every image: 0 where no mask is, else 1 + its place among them. Where
    masks overlap, the smaller lies on top.
    """
    for image in images:
        if len(image.masks) > LARGEST:
            raise ValueError(f"{image.name}: has more than {LARGEST} masks: take fewer")
        ids = painted(image, range(1, len(image.masks) + 1), writing)
        write_label_png(ids, writing.out / f"{bare(image.name)}.png")
    return [writing.out]


def read_label_maps(path: Path, reading: Reading) -> LabelledSet:
    """The numbers of every label map of a folder as masks.

    Raises:
        ValueError: there is none.
    """
    files = {path.stem: path} if path.is_file() else find_label_maps(path)
    return LabelledSet((), _images(files))


def _images(files: dict[str, Path]) -> Iterator[Labelled | Finding]:
    for name, file in files.items():
        try:
            values = read_masks(file)
            stack = values.ndim == 3
            masks = InstanceMasks(values) if stack else InstanceMasks.from_labels(values)
        except (ValueError, OSError) as error:
            yield finding_of(error, file)
            continue
        yield Labelled(name, masks, (Mark(),) * len(masks))
