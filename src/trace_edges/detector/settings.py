"""How a detector reads an image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector reads an image.

    Attributes:
        resolution: sqrt(H * W) in px of what the model sees; None: as in training.
        scales: the image is seen once at each of these multiples of the resolution, and the
            probabilities are averaged: chance in one view is not in the others.
        mirror: it is seen mirrored as well, at every scale.

    Raises:
        ValueError: there is no scale, or one is not above 0.
    """

    resolution: int | None = None
    scales: tuple[float, ...] = (1.0,)
    mirror: bool = False

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= 16 for scale in self.scales):
            raise ValueError(f"scales must be above 0 and at most 16, not {self.scales}")

    @property
    def is_single(self) -> bool:
        """One view, at the resolution."""
        return self.scales == (1.0,) and not self.mirror
