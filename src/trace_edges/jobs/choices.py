"""What a job can be asked for: plain values, which the command line reads without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from trace_edges.instances.components import Origin

Kind = Literal["folder", "tar", "coco", "voc", "parquet", "datasets"]  # of a data set
Form = Literal["folder", "tar", "parquet", "coco"]  # of the results
TaskName = Literal["edges", "instances", "panoptic"]
_MOST_LEVELS = 100


@dataclass(frozen=True)
class Selection:
    """Which of the regions that edges close are taken, and which of these are kept.

    Attributes:
        find: objects and areas give every pixel to one region. Objects finds most things, among
            many small regions; areas gives few regions, which cover the image best. Candidates are
            regions of all sizes that overlap, the likeliest things first.
        strength: only edges stronger than this separate regions; a lower value gives more and
            smaller regions. None: for objects 0.08, 0.05 for edges of a detector that reads a
            diffusion model, 0.15 for those of the training-free method; for areas 0.3, 0.125 and
            0.25.
        levels: take the regions of several strengths at once, as alternatives that overlap: a
            number of levels, such as 3, or their strengths, such as 0.03,0.06,0.125.
        count: merge regions until this many are left, instead of using a strength.
        top_k: keep this many masks, those with the highest scores. None: all, or 100 candidates.
        min_score: leave out masks with a lower score. A score estimates the probability that a mask
            overlaps a thing with an IoU of at least 0.5.
        ground: what becomes of ground, sky and walls, which are regions that touch three sides of
            the image or cover more of it than max_area: keep them, mark them by the class ground,
            or remove them.
        max_area: share of the image above which a region counts as ground.
        min_area: leave out regions that cover a smaller share of the image than this.
        blur: blur the edges with a Gaussian of this standard deviation in pixels; maps of thin
            lines need 2.
    """

    find: Literal["objects", "areas", "candidates"] = "objects"
    strength: float | None = None
    levels: str | None = None
    count: int | None = None
    top_k: int | None = None
    min_score: float = 0.0
    ground: Literal["keep", "mark", "remove"] = "keep"
    max_area: float = 0.5
    min_area: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        rules = (self.strength, self.levels, self.count)
        given = sum(rule is not None for rule in rules)
        if given > 1:
            raise ValueError("--strength, --levels and --count exclude each other: give one")
        if given and self.find == "candidates":
            raise ValueError("candidates are regions of all strengths: leave out --strength, "
                             "--levels and --count, or --find")  # fmt: skip
        self._levels()  # now, not after the first image
        for name in ("count", "top_k"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ValueError(f"{name} must be 1 or more, not {number}")
        for name in ("strength", "min_area", "min_score", "max_area"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], not {value}")
        if self.blur < 0:
            raise ValueError(f"blur must be 0 or more pixels, not {self.blur}")

    def strengths(self, origin: Origin) -> float | list[float] | None:
        """The strength that is taken, or those of all levels; None for candidates."""
        from trace_edges.instances.regions import usual_levels, usual_strength

        levels = self._levels()
        if isinstance(levels, int):
            return usual_levels(levels, origin)
        if self.strength is None and self.find != "candidates":
            return levels or usual_strength(self.find, origin)
        return levels or self.strength

    def _levels(self) -> int | list[float]:
        """How many levels there are, or their strengths."""
        if self.levels is None:
            return []
        if self.levels.strip().isdecimal():
            if not 2 <= int(self.levels) <= _MOST_LEVELS:
                raise ValueError(f"--levels {self.levels.strip()}: give a number of levels of 2 to "
                                 f"{_MOST_LEVELS}, or their strengths, as 0.03,0.06")  # fmt: skip
            return int(self.levels)
        try:
            levels = [float(part) for part in self.levels.split(",")]
        except ValueError as error:
            raise ValueError(f"--levels {self.levels!r} is not a list of strengths: write them as "
                             "0.03,0.06,0.125, or how many there are, as 3") from error  # fmt: skip
        if odd := [level for level in levels if not 0 <= level <= 1]:
            raise ValueError(f"--levels must lie in [0, 1], not {odd[0]:g}")
        return levels

    def described(self, origin: Origin) -> dict[str, Any]:
        """As JSON holds it, with the strength that is taken."""
        return asdict(self) | {"strength": self.strengths(origin)}
