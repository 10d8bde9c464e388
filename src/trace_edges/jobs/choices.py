"""What a job can be asked for: plain values, which the command line reads without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["folder", "tar", "coco", "voc", "parquet", "datasets"]  # of a data set
Form = Literal["folder", "tar", "parquet", "coco"]  # of the results
TaskName = Literal["edges", "instances", "panoptic"]


@dataclass(frozen=True)
class Selection:
    """Which of the regions that edges close are taken: by one of four rules.

    Attributes:
        find: what the usual strength is for: objects finds most things, among many small regions;
            areas gives few regions, which cover the image best.
        strength: only edges stronger than this separate regions; a lower value gives more and
            smaller regions. None: for objects 0.05, or 0.15 for edges of the training-free method;
            for areas 0.125, or 0.25.
        levels: take the regions of several strengths at once, as alternatives that overlap; for
            example 0.03,0.06,0.125.
        count: merge regions until this many are left, instead of using a strength.
        proposals: return up to this many overlapping regions of all strengths instead.
        min_area: leave out regions that cover a smaller share of the image than this.
        blur: blur the edges with a Gaussian of this standard deviation in pixels; maps of thin
            lines need 2.
    """

    find: Literal["objects", "areas"] = "objects"
    strength: float | None = None
    levels: str | None = None
    count: int | None = None
    proposals: int | None = None
    min_area: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        rules = (self.strength, self.levels, self.count, self.proposals)
        if sum(rule is not None for rule in rules) > 1:
            raise ValueError(
                "--strength, --levels, --count and --proposals exclude each other: give one"
            )
        self._levels()  # now, not after the first image
        for name in ("count", "proposals"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ValueError(f"{name} must be 1 or more, not {number}")
        for name in ("strength", "min_area"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], not {value}")
        if self.blur < 0:
            raise ValueError(f"blur must be 0 or more pixels, not {self.blur}")

    def strengths(self, *, training_free: bool) -> float | list[float]:
        """The strength that is taken, or those of all levels."""
        from trace_edges.instances.regions import usual_strength

        usual = usual_strength(self.find, training_free=training_free)
        return self._levels() or (usual if self.strength is None else self.strength)

    def _levels(self) -> list[float]:
        if self.levels is None:
            return []
        try:
            levels = [float(part) for part in self.levels.split(",")]
        except ValueError as error:
            raise ValueError(f"--levels {self.levels!r} is not a list of strengths: write them as "
                             "0.03,0.06,0.125") from error  # fmt: skip
        if odd := [level for level in levels if not 0 <= level <= 1]:
            raise ValueError(f"--levels must lie in [0, 1], not {odd[0]:g}")
        return levels

    def described(self, *, training_free: bool) -> dict[str, Any]:
        """As JSON holds it, with the strength that is taken."""
        return asdict(self) | {"strength": self.strengths(training_free=training_free)}
