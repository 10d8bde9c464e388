"""A panoptic map: every pixel belongs to one segment, or to none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int32


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


@dataclass(frozen=True, eq=False)
class PanopticMap:
    """Segments of one image.

    Attributes:
        ids: (H, W) number of the segment of each pixel, 0 for none.
        segments: every number in `ids` but 0, once, and no other.
        settings: what the map was made with, plain JSON values.
    """

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
