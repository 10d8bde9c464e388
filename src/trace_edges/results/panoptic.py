"""Segments of one image: instances of things, and stuff."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Int32

from trace_edges.results.archive import Archived
from trace_edges.results.showing import Shown

if TYPE_CHECKING:
    from PIL.Image import Image

VOID = -1  # the category of a pixel that has none; files have numbers of their own for it


@dataclass(frozen=True)
class Category:
    """A class: countable things, or stuff."""

    id: int
    name: str
    thing: bool


@dataclass(frozen=True)
class Segment:
    """One segment: an instance of a thing class, or all of a stuff class.

    Attributes:
        id: its number in the map, 1 or more.
        category: number of its class.
        thing: whether the class has instances.
        score: in [0, 1].
    """

    id: int
    category: int
    thing: bool
    score: float = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class PanopticMap(Shown, Archived):
    """Segments of one image.

    Attributes:
        ids: (H, W) number of the segment of each pixel, 0 for none.
        segments: every number in `ids` but 0, once, and no other.
        settings: what the map was made with, plain JSON values.
    """

    _form = "trace-edges panoptic map 1"
    _called = "a panoptic map"

    ids: Int32[np.ndarray, "h w"]
    segments: tuple[Segment, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ids.ndim != 2:
            raise ValueError(f"ids must be (H, W), not {self.ids.shape}")
        drawn = set(np.unique(self.ids).tolist()) - {0}
        listed = [segment.id for segment in self.segments]
        if drawn != set(listed) or len(listed) != len(drawn):
            odd = sorted(drawn.symmetric_difference(listed)) or "a number listed twice"
            raise ValueError(f"segments and the numbers in the map differ: {odd}")
        stuff = [segment.category for segment in self.segments if not segment.thing]
        if len(stuff) != len(set(stuff)):
            raise ValueError("a stuff class is one segment: give its pixels one number")

    def __len__(self) -> int:
        return len(self.segments)

    @property
    def facts(self) -> str:
        """One line: how many things and how much stuff, of which size, and how much is void."""
        height, width = self.ids.shape
        things = sum(segment.thing for segment in self.segments)
        void = float(np.mean(self.ids == 0)) if self.ids.size else 0.0
        stuff = len(self.segments) - things
        return f"{things} things and {stuff} stuff in {height} x {width} px, {void:.1%} void"

    def image(self) -> Image:
        """Every segment in its colour with its contour, on white."""
        return self.overlay(np.full((*self.ids.shape, 3), 255, dtype=np.uint8))

    def overlay(self, image: Any) -> Image:
        """The image with every segment tinted in a colour of its own and outlined in it; stuff
        has the duller colour of its class, the same in every image.

        Args:
            image: the one that the map is of; anything that `load_image` takes.

        Raises:
            ImageError: it cannot be read as an image.
            ValueError: it has another size.
        """
        from trace_edges.drawing.overlays import segment_overlay
        from trace_edges.images import load_image

        things = [segment.id for segment in self.segments if segment.thing]
        stuff = {segment.id: segment.category for segment in self.segments if not segment.thing}
        return segment_overlay(load_image(image), self.ids, things, stuff)

    def _arrays(self) -> dict[str, np.ndarray]:
        segments = json.dumps([asdict(segment) for segment in self.segments])
        return {"ids": self.ids, "segments": np.array(segments)}

    @classmethod
    def _built(cls, data: dict[str, Any], settings: dict[str, Any]) -> Self:
        from pydantic import TypeAdapter  # a tenth of a second, for which no edge has use

        segments = TypeAdapter(tuple[Segment, ...]).validate_json(str(data["segments"]))
        if data["ids"].dtype.kind not in "iu":
            raise TypeError(f"ids are {data['ids'].dtype}")
        return cls(data["ids"], segments, settings)
