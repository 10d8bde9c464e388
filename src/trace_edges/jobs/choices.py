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
        strength: only edges stronger than this separate regions; a lower value gives more and
            smaller regions. None: 0.125, or 0.25 for edges of the training-free method.
        count: merge regions until this many are left, instead of using a strength.
        proposals: return up to this many overlapping regions of all strengths instead.
        min_area: leave out regions that cover a smaller share of the image than this.
        blur: blur the edges with a Gaussian of this standard deviation in pixels; maps of thin
            lines need 2.
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
        from trace_edges.instances.regions import usual_strength

        usual = usual_strength(training_free=training_free)
        return asdict(self) | {"strength": usual if self.strength is None else self.strength}
