"""Seeds for a promptable segmenter (SAM): for each region a few points, a box and a mask.

A grid of points prompts every small thing many times over and some not at all. In a region that
edges close, one prompt is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64
from scipy.ndimage import distance_transform_edt

from trace_edges.instances.bgp import flood
from trace_edges.instances.components import (
    Edges,
    Mask,
    by_falling_size,
    check_edges,
    components,
    cut_pixels,
    edge_array,
)
from trace_edges.results import EdgeMap, InstanceMasks

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


def seeds_from_edges(
    edges: Edges | EdgeMap,
    *,
    threshold: float = 0.5,
    hysteresis: float = 0.5,
    min_area: float = 5e-4,
    max_area: float = 1.0,
    points: int = 1,
) -> Seeds:
    """Seeds of the regions that edges close: 4-connected, so that a thin diagonal edge closes too.

    A region grows back over the edge up to its ridge, or its box and mask would be too small by
    half the width of the edge. An edge with a gap closes nothing, and in a smooth map much depends
    on the threshold: there `seeds_from_masks` of `instances_from_edges` is safer.

    Args:
        edges: (h, w) in [0, 1], 1 on an edge; smooth, thin, or a drawn boundary. Of an `EdgeMap` of
            one image, its `edges`.
        threshold: strength in (0, 1] from which an edge separates.
        hysteresis: down to this share of the threshold an edge separates where it continues a
            stronger one; 1 for none.
        min_area: share of the image, before growing; what is smaller falls to its neighbours.
        max_area: share of the image, after growing; what is larger is no seed. Without an edge the
            image is one region: a seed with 1, none with less.
        points: number of points for each region.

    Returns:
        Regions by falling size; a score is 1.

    Raises:
        ValueError: `edges` is no map in [0, 1], or of several images, or `points` is less than 1.
    """
    edges = edge_array(edges)
    if edges.ndim != 2:
        raise ValueError(f"edges must be (H, W), not {edges.shape}: give the map of one image")
    check_edges(edges, edges.shape)
    cut = cut_pixels(edges, threshold, hysteresis)
    closed = components(~cut)
    small = np.bincount(closed.ravel()) < max(1, min_area * edges.size)
    small[0] = True
    markers = np.where(small[closed], 0, closed).astype(np.int32)
    grown = flood(markers, edges, np.ones(edges.shape, dtype=bool))
    large = np.bincount(grown.ravel()) > max_area * edges.size
    labels = by_falling_size(np.where(large[grown], 0, grown).astype(np.int32))
    settings = {
        "source": "closed edges",
        "threshold": threshold,
        "hysteresis": hysteresis,
        "min_area": min_area,
        "max_area": max_area,
    }
    return seeds_from_masks(InstanceMasks.from_labels(labels, settings=settings), points)


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
