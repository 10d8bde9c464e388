"""Instance masks of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64


@dataclass(frozen=True, eq=False)
class InstanceMasks:
    """Masks of the instances in one image; they may overlap and have holes and several parts.

    Attributes:
        masks: (n, H, W) one per instance, each with at least one pixel.
        scores: (n,) in [0, 1], the larger the surer; 1 where nothing ranks them.
        settings: what the masks were made with, plain JSON values.
    """

    masks: Bool[np.ndarray, "n h w"]
    scores: Float32[np.ndarray, " n"]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or self.masks.dtype != np.bool_:
            raise ValueError(
                f"masks must be boolean (n, H, W), not {self.masks.dtype} {self.masks.shape}"
            )
        if self.scores.shape != self.masks.shape[:1]:
            raise ValueError(
                f"{len(self.masks)} masks need as many scores, not {self.scores.shape}"
            )
        if self.scores.size and not (self.scores.min() >= 0 and self.scores.max() <= 1):
            raise ValueError("scores must lie in [0, 1] and hold no NaN")
        if not self.masks.any(axis=(1, 2)).all():
            raise ValueError("a mask without a pixel is no instance: leave it out")

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image."""
        _, height, width = self.masks.shape
        return height, width

    @property
    def areas(self) -> Int64[np.ndarray, " n"]:
        """Pixels of each mask."""
        return np.count_nonzero(self.masks, axis=(1, 2))

    @property
    def boxes(self) -> Int64[np.ndarray, "n 4"]:
        """(n, 4) left, top, right, bottom of each mask; right and bottom are exclusive."""
        ends = []
        for axis in (1, 2):  # over the rows: which columns a mask has; then over the columns
            has: Bool[np.ndarray, "n side"] = np.any(self.masks, axis=axis)
            ends.append((has.argmax(axis=1), has.shape[1] - has[:, ::-1].argmax(axis=1)))
        (left, right), (top, bottom) = ends
        return np.stack([left, top, right, bottom], axis=1)

    @property
    def label_map(self) -> Int32[np.ndarray, "h w"]:
        """(H, W) 0 where no instance is, else 1 + its index; the smaller mask lies on top."""
        labels = np.zeros(self.shape, dtype=np.int32)
        for index in np.argsort(-self.areas, kind="stable"):
            labels[self.masks[index]] = index + 1
        return labels

    @classmethod
    def from_labels(
        cls, labels: np.ndarray, background: int = 0, settings: Mapping[str, Any] | None = None
    ) -> InstanceMasks:
        """One mask per number in a label map (H, W), but for `background`; scores are 1."""
        numbers = np.unique(labels)
        numbers = numbers[numbers != background]
        masks = labels[None] == numbers[:, None, None]  # (n, H, W)
        return cls(masks, np.ones(len(masks), dtype=np.float32), settings or {})
