"""Seeds for a promptable segmenter (SAM): for each region a few points, a box and a mask.

A grid of points prompts every small thing many times over and some not at all. In a region that
edges close, one prompt is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64
from scipy.ndimage import distance_transform_edt

from trace_edges.instances.components import Mask
from trace_edges.results import InstanceMasks

_LOGIT = 8.0  # sigmoid(8) = 0.9997


@dataclass(frozen=True, eq=False)
class Seeds:
    """Prompts for n regions of one image.

    Attributes:
        regions: the masks that are prompted for; they may overlap.
        points: (n, k, 2) x, y of pixels in each region. The first is the pole of inaccessibility,
            furthest from the outline; a region of fewer than k deep pixels repeats some.
    """

    regions: InstanceMasks
    points: Int64[np.ndarray, "n k 2"]

    def __post_init__(self) -> None:
        if self.points.ndim != 3 or self.points.shape[::2] != (len(self.regions), 2):
            raise ValueError(
                f"{len(self.regions)} regions need points (n, k, 2), not {self.points.shape}"
            )

    def __len__(self) -> int:
        return len(self.regions)

    @property
    def boxes(self) -> Int64[np.ndarray, "n 4"]:
        """(n, 4) left, top, right, bottom of each region; right and bottom are exclusive."""
        return self.regions.boxes

    def logits(
        self, side: int, content: tuple[int, int], part: slice = slice(None)
    ) -> Float32[np.ndarray, "m side side"]:
        """Masks as SAM takes them: 8 inside, -8 outside, between the two on outlines.

        Args:
            side: of the square they are drawn on, 256 for the published models.
            content: (height, width) of the image on it, at its top left. The rest is outside.
            part: the regions to draw.
        """
        masks = self.regions[part].masks
        drawn = np.full((len(masks), side, side), -_LOGIT, dtype=np.float32)
        for canvas, mask in zip(drawn, masks, strict=True):
            canvas[: content[0], : content[1]] = _LOGIT * (2 * _shares(mask, content) - 1)
        return drawn


def seeds_from_masks(masks: InstanceMasks, points: int = 1) -> Seeds:
    """Seeds of masks from any source: `instances_from_edges`, `maskcut`, another model.

    Args:
        points: number of points for each mask; those after the first lie far from each other.

    Raises:
        ValueError: `points` is less than 1.
    """
    if points < 1:
        raise ValueError(f"a seed needs at least 1 point, not {points}")
    placed = np.zeros((len(masks), points, 2), dtype=np.int64)
    for place, crop, box in zip(placed, masks.crops, masks.boxes, strict=True):
        place[:] = inner_points(crop, points) + box[:2]
    return Seeds(masks, placed)


def inner_points(mask: Mask, count: int) -> Int64[np.ndarray, "count 2"]:
    """Pixels (x, y) of a mask, away from its outline and from each other.

    The first is the pole of inaccessibility; of equally deep pixels the one nearest to their mean.
    The others are chosen by their distance from those before, among the pixels at least half as
    deep. The frame of the array counts as outline: what an image cuts off is not known.

    Args:
        mask: (h, w) with at least one pixel.
    """
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    deepest = np.argwhere(depth == depth.max())
    pole = deepest[((deepest - deepest.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    chosen = [pole]
    if count > 1:
        candidates = np.argwhere(depth >= depth.max() / 2)
        distance = np.full(len(candidates), np.inf)
        for _ in range(count - 1):
            distance = np.minimum(distance, ((candidates - chosen[-1]) ** 2).sum(axis=1))
            chosen.append(candidates[distance.argmax()])
    return np.array(chosen)[:, ::-1]


def _shares(mask: Mask, size: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """Share that a mask fills of each cell of a grid of this size; cells are whole pixels."""
    sums: np.ndarray = mask
    counts = np.ones((1, 1))
    for axis, cells in enumerate(size):
        starts = np.arange(cells) * mask.shape[axis] // cells
        # Cells smaller than a pixel share their start with the next, and have that pixel.
        pixels = np.maximum(np.diff(starts, append=mask.shape[axis]), 1)
        sums = np.add.reduceat(sums, starts, axis=axis, dtype=np.int64)
        counts = counts * np.expand_dims(pixels, 1 - axis)
    return sums / counts
