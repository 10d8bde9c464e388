"""Tasks: what is made of the edges of one image, as files in bytes and entries of its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trace_edges.extras import require
from trace_edges.files import FileError
from trace_edges.formats.classes import ClassTable
from trace_edges.formats.coco_set import category_entries, coco_entries, numbered
from trace_edges.formats.labels import LARGEST
from trace_edges.formats.panoptic import segments_info
from trace_edges.formats.pixels import id_colours
from trace_edges.formats.semantic import SUFFIXES, read_semantic
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.fragments import ATTACHMENT, Attachment
from trace_edges.instances.panoptic import panoptic_from_semantic
from trace_edges.jobs.detecting import encoded
from trace_edges.jobs.finding import Found, Regions, cutting_lines, uncut
from trace_edges.jobs.task import Result, Subject, Task, TaskError
from trace_edges.outputs import digest_of
from trace_edges.results import VOID


class Finder(Protocol):
    """Finds the instances of one image."""

    @property
    def wants_image(self) -> bool: ...

    @property
    def wants_attention(self) -> bool: ...

    @property
    def classes(self) -> Sequence[str]:
        """All that an instance may be called, in the order of their ids from 1."""

    def describe(self) -> dict[str, Any]:
        """Lists all that the result depends on, plain JSON values."""

    def __call__(self, subject: Subject) -> Found:
        """The instances, or a `ValueError`."""


@dataclass(frozen=True)
class InstancesTask(Task):
    """Instances: `instances.png` (16-bit labels, the smaller on top), and RLE in the record.

    Attributes:
        find: finds them; the regions that edges close, if nothing else.
        overlay: draw overlay.png too, the instances over the image.
    """

    find: Finder = field(default_factory=Regions)
    overlay: bool = False
    name = "instances"

    @property
    def suffixes(self) -> tuple[str, ...]:
        return ("instances.png", "overlay.png") if self.overlay else ("instances.png",)

    @property
    def wants_image(self) -> bool:
        return self.overlay or self.find.wants_image

    @property
    def wants_attention(self) -> bool:
        return self.find.wants_attention

    @property
    def classes(self) -> Sequence[str]:
        return self.find.classes

    def describe(self) -> dict[str, Any]:
        return {"task": self.name, **self.find.describe()}

    def check(self) -> None:
        require("pycocotools.mask", "export")

    def __call__(self, subject: Subject) -> Result:
        try:
            found = self.find(subject)
        except TaskError:
            raise
        except ValueError as error:
            raise TaskError(f"{subject.key}: {error}") from error
        instances = found.instances
        if len(instances) > LARGEST:
            raise TaskError(f"{subject.key}: has {len(instances)} instances, more than {LARGEST}: "
                            "take fewer")  # fmt: skip
        files = {"instances.png": encoded(instances.label_map.astype(np.uint16))}
        if subject.image is not None and self.overlay:
            files["overlay.png"] = encoded(instances.overlay(subject.image))
        classes = numbered(self.classes)
        annotations = list(coco_entries(instances, {one.name: one.id for one in classes}))
        for entry, sure in zip(annotations, found.class_scores or (), strict=False):
            entry["class_score"] = round(float(sure), 6)
        record: dict[str, Any] = {**found.facts, "annotations": annotations}
        if len(self.classes) > 1:  # else all are objects
            record["categories"] = category_entries(classes)
        if found.timestep is not None:
            record = {"timestep": found.timestep, **record}
        return Result(files, record, notes=found.notes)


@dataclass(frozen=True)
class PanopticTask(Task):
    """The things of semantic maps cut into instances: `panoptic.png`, its segments in the record.

    Attributes:
        semantic: folder of KEY.png or KEY.npy.
        classes: what the numbers in the maps stand for.
        propagation, attachment: as `panoptic` takes them.
    """

    semantic: Path
    classes: ClassTable
    propagation: Propagation = PROPAGATION
    attachment: Attachment = ATTACHMENT
    name = "panoptic"
    suffixes = ("panoptic.png",)

    def describe(self) -> dict[str, Any]:
        return {
            "task": self.name,
            "semantic": str(self.semantic),
            "categories": [asdict(one) for one in self.classes.categories],
            "classes": {str(k): v for k, v in self.classes.by_number.items()},
            "propagation": asdict(self.propagation),
            "attachment": asdict(self.attachment),
        }

    def check(self) -> None:
        if not self.semantic.is_dir():
            raise ValueError(f"{self.semantic}: there is no such folder of semantic maps; check it")

    def __call__(self, subject: Subject) -> Result:
        path = self.beside(subject.key)
        if path is None:
            known = " or ".join(f"{subject.key}{suffix}" for suffix in SUFFIXES)
            raise TaskError(f"{self.semantic} contains no {known}: add it, or leave the image out")
        lines = cutting_lines(subject, self.propagation)
        try:
            numbers = read_semantic(path)
            categories = self.classes.categories_of(numbers)
            found = panoptic_from_semantic(
                categories, lines, self.classes.things, self.classes.stuff,
                void=VOID, propagation=self.propagation, attachment=self.attachment,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            named = isinstance(error, FileError)
            raise TaskError(str(error) if named else f"{path}: {error}") from error
        classes = len(np.setdiff1d(categories, [VOID]))
        files = {"panoptic.png": encoded(id_colours(found.ids))}
        seen = {segment.category for segment in found.segments}
        occurring = [one for one in self.classes.categories if one.id in seen]
        record = {"segments_info": segments_info(found)}
        record["categories"] = category_entries(occurring, things=True)
        notes = uncut(lines, self.propagation)
        return Result(files, record, (found, classes), notes, digest_of(path))

    def beside(self, key: str) -> Path | None:
        """The semantic map of an image."""
        paths = (self.semantic / f"{key}{suffix}" for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)
