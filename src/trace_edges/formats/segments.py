"""What ground truth is here, whatever file it came from: the segments of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments of one image as one annotator saw them.

    Attributes:
        labels: (h, w) one number per segment, void included.
        void: (h, w) pixels of which the ground truth says nothing: unlabelled, or a crowd.
        boundaries: (h, w) boundaries that were drawn as such, where a data set has them.
    """

    labels: Int32[np.ndarray, "h w"]
    void: Bool[np.ndarray, "h w"]
    boundaries: Bool[np.ndarray, "h w"] | None = None

    def __post_init__(self) -> None:
        shapes = {self.labels.shape, self.void.shape}
        if self.boundaries is not None:
            shapes.add(self.boundaries.shape)
        if len(shapes) > 1 or self.labels.ndim != 2:
            raise ValueError(f"labels, void and boundaries must have one size (h, w), not {shapes}")


# By image name (the stem of its file): a picklable function that reads its annotators, so that a
# data set never lies in memory and worker processes can read for themselves.
GroundTruth = Mapping[str, Callable[[], Sequence[Segments]]]
