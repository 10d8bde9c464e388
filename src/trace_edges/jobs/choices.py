"""What a job can be asked for: plain values, which the command line reads without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["folder", "tar", "coco", "voc", "parquet", "datasets"]  # of a data set
Form = Literal["folder", "tar", "parquet", "coco"]  # of the results
TaskName = Literal["edges", "instances", "panoptic"]


@dataclass(frozen=True)
class Selection:
    """Which of the regions that edges close are taken: by one of three rules.

    Attributes:
        strength: regions that boundaries stronger than this leave. None: 0.125, or 0.25 where the
            edges come straight from the attention.
        count: so many regions instead, the last that merging leaves.
        proposals: up to so many of all strengths instead; they overlap.
        min_area: share of the image below which a region is left out.
        blur: standard deviation in px of a Gaussian over the edges: 2 for maps of thin lines.
    """

    strength: float | None = None
    count: int | None = None
    proposals: int | None = None
    min_area: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        if self.count is not None and self.proposals is not None:
            raise ValueError("count and proposals exclude each other: give one")
        if self.strength is not None and (self.count is not None or self.proposals is not None):
            raise ValueError("--strength, --count and --proposals exclude each other: give one")
        for name in ("count", "proposals"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ValueError(f"{name} must be 1 or more, not {number}")
        for name in ("strength", "min_area"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], not {value}")
        if self.blur < 0:
            raise ValueError(f"blur must be 0 or more pixels, not {self.blur}")

    def described(self, *, training_free: bool) -> dict[str, Any]:
        """As JSON holds it, with the strength that is taken."""
        from trace_edges.instances.regions import STRENGTH, TRAINING_FREE_STRENGTH

        default = TRAINING_FREE_STRENGTH if training_free else STRENGTH
        return asdict(self) | {"strength": default if self.strength is None else self.strength}
