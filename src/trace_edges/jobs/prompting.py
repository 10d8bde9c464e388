"""What was found, asked of SAM: every instance is a seed, and SAM draws its outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from trace_edges.instances.sam import SamSegmenter, prompt_kinds
from trace_edges.instances.seeds import seeds_from_masks
from trace_edges.results import InstanceMasks


@dataclass(frozen=True, eq=False)
class Prompting:
    """A SAM, and what of each instance it is shown.

    Attributes:
        sam: of `load_sam`.
        prompts: "points", "boxes", "masks", or several of them with a plus between.
        points: for each instance; the first is its pole of inaccessibility.
        iou: in [0, 1]. Of two masks with a larger IoU SAM's better one stays.
    """

    sam: SamSegmenter
    prompts: str = "points+boxes"
    points: int = 1
    iou: float = 0.5

    def __post_init__(self) -> None:
        prompt_kinds(self.prompts)  # now, not after the first picture
        if self.points < 1:
            raise ValueError(f"a seed needs at least 1 point, not {self.points}")
        if not 0 <= self.iou <= 1:
            raise ValueError(f"iou must lie in [0, 1], not {self.iou}")

    def describe(self) -> dict[str, Any]:
        """All that the answer depends on, plain JSON values."""
        return {
            "name": self.sam.name, "prompts": "+".join(sorted(prompt_kinds(self.prompts))),
            "points": self.points, "iou": self.iou,
        }  # fmt: skip

    def __call__(
        self, picture: UInt8[np.ndarray, "h w 3"], instances: InstanceMasks
    ) -> InstanceMasks:
        """SAM's masks of the instances, by falling score; one that it sees nothing of is gone."""
        seeds = seeds_from_masks(instances, self.points)
        return self.sam.segment(picture, seeds, self.prompts, iou=self.iou)
