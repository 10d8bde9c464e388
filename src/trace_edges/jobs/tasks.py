"""From the edges of one picture to what is kept of it: files in bytes, the record among them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image

from trace_edges.extras import require
from trace_edges.formats.classes import ClassTable
from trace_edges.formats.coco import coco_entries
from trace_edges.formats.edge_maps import EdgeFormat, stored_edges
from trace_edges.formats.labels import LARGEST
from trace_edges.formats.panoptic import segments_info
from trace_edges.formats.pixels import id_colours
from trace_edges.formats.semantic import SUFFIXES, read_semantic
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.panoptic import panoptic_from_semantic
from trace_edges.jobs import Selection
from trace_edges.jobs.detection import EdgeKind
from trace_edges.results import VOID

Files = dict[str, bytes]  # by suffix


class TaskError(ValueError):
    """One picture that cannot be annotated as asked for; others may be."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges of one picture, at its size: a smooth map in [0, 1] and where its ridges run."""

    smooth: Float32[np.ndarray, "h w"]
    ridges: Bool[np.ndarray, "h w"]

    @property
    def thin(self) -> Float32[np.ndarray, "h w"]:
        return np.where(self.ridges, self.smooth, np.float32(0))


class Task(Protocol):
    """What is made of edges; `suffixes` are those of its files, without the record's."""

    @property
    def name(self) -> str: ...

    @property
    def suffixes(self) -> tuple[str, ...]: ...

    def describe(self) -> dict[str, Any]:
        """All that the result depends on, plain JSON values."""

    def check(self) -> None:
        """Raise what would stop every picture: a library that is missing, a folder."""

    def __call__(self, key: str, edges: Edges) -> tuple[Files, dict[str, Any]]:
        """The files of a picture, and what its record adds to its size; or a `TaskError`."""


@dataclass(frozen=True)
class EdgesTask:
    """The edges themselves: `edges.png` or `edges.npy`, as `detect` writes them."""

    format: EdgeFormat = "png"
    kind: EdgeKind = "thin"
    name = "edges"

    @property
    def suffixes(self) -> tuple[str, ...]:
        return ("edges.npy" if self.format == "npy" else "edges.png",)

    def describe(self) -> dict[str, Any]:
        return {"task": self.name, **asdict(self)}

    def check(self) -> None:
        pass

    def __call__(self, key: str, edges: Edges) -> tuple[Files, dict[str, Any]]:
        stored = stored_edges(edges.thin if self.kind == "thin" else edges.smooth, self.format)
        content = _npy(stored) if self.format == "npy" else _png(Image.fromarray(stored))
        return {self.suffixes[0]: content}, {}


@dataclass(frozen=True)
class InstancesTask:
    """Regions that edges close, as `segment` finds them: `instances.png`, and RLE in the record."""

    selection: Selection = field(default_factory=Selection)
    name = "instances"
    suffixes = ("instances.png",)

    def describe(self) -> dict[str, Any]:
        return {"task": self.name, **asdict(self.selection)}

    def check(self) -> None:
        require("pycocotools.mask", "export")

    def __call__(self, key: str, edges: Edges) -> tuple[Files, dict[str, Any]]:
        try:
            found = self.selection(edges.smooth)
        except ValueError as error:
            raise TaskError(f"{key}: {error}") from error
        if len(found) > LARGEST:
            raise TaskError(f"{key}: has {len(found)} instances, more than {LARGEST}: take fewer")
        labels = Image.fromarray(found.label_map.astype(np.uint16))
        annotations = [
            {name: value for name, value in entry.items() if name != "image_id"}
            for entry in coco_entries(found, 0)
        ]
        return {"instances.png": _png(labels)}, {"annotations": annotations}


@dataclass(frozen=True)
class PanopticTask:
    """The things of semantic maps cut into instances: `panoptic.png`, its segments in the record.

    Attributes:
        semantic: folder of KEY.png or KEY.npy.
        classes: what the numbers in the maps stand for.
        propagation, background: as `panoptic` takes them.
    """

    semantic: Path
    classes: ClassTable
    propagation: Propagation = PROPAGATION
    background: float = 0.15
    name = "panoptic"
    suffixes = ("panoptic.png",)

    def describe(self) -> dict[str, Any]:
        return {
            "task": self.name,
            "semantic": str(self.semantic),
            "categories": [asdict(one) for one in self.classes.categories],
            "classes": {str(k): v for k, v in self.classes.by_number.items()},
            "propagation": asdict(self.propagation),
            "background": self.background,
        }

    def check(self) -> None:
        if not self.semantic.is_dir():
            raise ValueError(f"{self.semantic}: there is no such folder of semantic maps; check it")

    def __call__(self, key: str, edges: Edges) -> tuple[Files, dict[str, Any]]:
        path = self._map_of(key)
        try:
            numbers = read_semantic(path, background=self.background)
            found = panoptic_from_semantic(
                self.classes.categories_of(numbers), edges.thin,
                self.classes.things, self.classes.stuff,
                void=VOID, propagation=self.propagation,
            )  # fmt: skip
        except ValueError as error:
            raise TaskError(f"{path}: {error}") from error
        colours = Image.fromarray(id_colours(found.ids))
        return {"panoptic.png": _png(colours)}, {"segments_info": segments_info(found)}

    def _map_of(self, key: str) -> Path:
        for suffix in SUFFIXES:
            path = self.semantic / f"{key}{suffix}"
            if path.is_file():
                return path
        known = " or ".join(f"{key}{suffix}" for suffix in SUFFIXES)
        raise TaskError(f"{self.semantic} holds no {known}: make it")


def record_bytes(record: Mapping[str, Any]) -> bytes:
    """A record as JSON, compact and in its order."""
    return (json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n").encode()


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _npy(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()
