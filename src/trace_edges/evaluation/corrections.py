"""What the correction of pre-labels changed, and how many clicks it took by a stated model.

Masks of one image are brought together one to one by falling IoU. What remains of the pre-labels
was deleted, or is one of several that were merged into one mask; what remains of the corrected
masks was added, or is a part of a pre-label that was split.

The model of clicks is that of a polygon tool. An outline costs a click for each vertex of the
polygon that follows it to two pixels. A pre-label that is adjusted costs one click, and one for
each of these vertices that lies further than that from its own outline. Deleting a mask, joining it
to another, and changing a class cost one click each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from os import PathLike
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial import cKDTree
from skimage.measure import approximate_polygon, find_contours

from trace_edges.formats.coco import CocoMasks
from trace_edges.formats.entries import refuse_unsound
from trace_edges.formats.truth import refusal
from trace_edges.results import InstanceMasks
from trace_edges.results.overlaps import common_pixels

KEPT = 0.95
_WITHIN = 0.8  # of a part, at least so much lies in what it is a part of
_TOLERANCE = 2.0  # px


@dataclass(frozen=True)
class Corrections:
    """What was done to pre-labels, over a set of images.

    Attributes:
        images: how many have pre-labels or corrected masks.
        prelabels, corrected: masks before and after.
        kept: masks that were left as they were: an IoU of at least 0.95.
        adjusted: masks whose outline was changed.
        added, deleted: masks that were drawn from nothing, and removed.
        split: pre-labels that became several masks.
        merged: masks that several pre-labels became.
        classes_changed: masks of the first two kinds that have another class now.
        clicks: that the correction took, by the model.
        clicks_from_nothing: that drawing all corrected masks takes.
    """

    images: int = 0
    prelabels: int = 0
    corrected: int = 0
    kept: int = 0
    adjusted: int = 0
    added: int = 0
    deleted: int = 0
    split: int = 0
    merged: int = 0
    classes_changed: int = 0
    clicks: int = 0
    clicks_from_nothing: int = 0

    def __add__(self, other: Corrections) -> Corrections:
        names = [field.name for field in fields(self)]
        return Corrections(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def saved(self) -> float:
        """Share of the clicks from nothing that the pre-labels saved; less than 0 where correcting
        them took more.
        """
        return 1 - self.clicks / self.clicks_from_nothing if self.clicks_from_nothing else 0.0

    def record(self, seconds_per_click: float) -> dict[str, Any]:
        """All of it as plain values, with the minutes that the clicks take."""
        minutes = {
            "seconds_per_click": seconds_per_click,
            "minutes": self.clicks * seconds_per_click / 60,
            "minutes_from_nothing": self.clicks_from_nothing * seconds_per_click / 60,
        }
        return asdict(self) | {"clicks_saved": self.saved} | minutes


def evaluate_corrections(
    prelabels: str | PathLike[str],
    corrected: str | PathLike[str],
    *,
    min_iou: float = 0.5,
    suggestions: bool = False,
) -> Corrections:
    """Compare pre-labels with what a person made of them.

    Args:
        prelabels, corrected: COCO annotations JSONs; images are matched by file name without
            suffix.
        min_iou: below which a mask is not an adjusted pre-label but a new one.
        suggestions: the pre-labels are hidden until they are picked, as overlapping candidates
            are: picking one costs a click, and those that nobody picks cost nothing. A mask that
            needs fewer clicks so is drawn from nothing.

    Raises:
        ImportError: masks are polygons and pycocotools is not installed.
        OSError: a file cannot be read.
        ValueError: a file is of another form, an entry is not sound, sizes differ, or an image that
            was corrected had no pre-labels.
    """
    before, after = CocoMasks(prelabels), CocoMasks(corrected)
    for masks in (before, after):
        refuse_unsound(masks.findings)
    if unknown := sorted(after.ids.keys() - before.ids.keys()):
        problem = (
            f"{len(unknown)} of its images have no pre-labels in {prelabels} (first: {unknown[0]})"
        )
        raise refusal(str(corrected), problem, "give the pre-labels of the same images")
    total = Corrections()
    for name in after.ids:
        one, other = (_named(masks, name) for masks in (before, after))
        if one.shape != other.shape:
            problem = f"{name} is {other.shape} here and {one.shape} in {prelabels}"
            raise refusal(str(corrected), problem, "give both files masks of the same images")
        total += compare(one, other, min_iou=min_iou, suggestions=suggestions)
    return total


def compare(
    before: InstanceMasks,
    after: InstanceMasks,
    *,
    min_iou: float = 0.5,
    suggestions: bool = False,
) -> Corrections:
    """The corrections of one image; see `evaluate_corrections`."""
    shared = common_pixels(before, after)
    areas, new_areas = before.areas, after.areas
    ious = shared / (areas[:, None] + new_areas - shared)
    partner = one_to_one(ious, min_iou)
    source = {other: one for one, other in partner.items()}
    splits = _groups(shared, new_areas, areas, partner)
    merges = _groups(shared.T, areas, new_areas, source)
    cut_out = {part: [one] for one, parts in splits.items() for part in parts if part not in source}
    joined = {one for parts in merges.values() for one in parts if one not in partner}
    kept = [one for one, other in partner.items() if ious[one, other] >= KEPT]
    redrawn = {other: [one] for other, one in source.items() if one not in kept}
    sources = cut_out | redrawn | merges  # of masks whose outline is not quite that of pre-labels
    added = [k for k in range(len(after)) if k not in source | sources]
    deleted = [k for k in range(len(before)) if k not in joined | splits.keys() | partner.keys()]
    changed = sum(before.classes[one] != after.classes[other] for one, other in partner.items())
    outlines = [_vertices(after, k) for k in range(len(after))]
    clicks = 0
    for k, ones in sources.items():
        needed = len(ones) + _away(before, ones, outlines[k])
        clicks += min(needed, len(outlines[k])) if suggestions else needed
    clicks += sum(len(outlines[k]) for k in added) + changed
    clicks += len(kept) if suggestions else len(deleted)
    return Corrections(
        1, len(before), len(after), len(kept), len(redrawn.keys() - merges), len(added),
        len(deleted), len(splits), len(merges), changed, clicks, sum(map(len, outlines)),
    )  # fmt: skip


def one_to_one(ious: Float64[np.ndarray, "n m"], min_iou: float) -> dict[int, int]:
    """The column of each row that has one, by falling IoU."""
    pairs = np.argwhere(ious >= min_iou)
    order = np.argsort(-ious[tuple(pairs.T)], kind="stable")
    found: dict[int, int] = {}
    for one, other in pairs[order].tolist():
        if one not in found and other not in found.values():
            found[one] = other
    return found


def _groups(
    shared: Int64[np.ndarray, "n m"],
    part_areas: Int64[np.ndarray, " m"],
    whole_areas: Int64[np.ndarray, " n"],
    partner: Mapping[int, int],
) -> dict[int, list[int]]:
    """The parts of each whole that has several, which lie in it and are together half of it."""
    taken = {part: whole for whole, part in partner.items()}
    groups = {}
    for whole, row in enumerate(shared):
        inside = np.flatnonzero(row >= _WITHIN * np.maximum(part_areas, 1)).tolist()
        parts = [part for part in inside if taken.get(part, whole) == whole]
        if len(parts) > 1 and row[parts].sum() >= whole_areas[whole] / 2:
            groups[whole] = parts
    return groups


def _vertices(masks: InstanceMasks, index: int) -> Float64[np.ndarray, "k 2"]:
    """The vertices (y, x) of the polygons that follow the outlines of a mask to two pixels."""
    crop, (left, top) = masks.crops[index], masks.boxes[index, :2]
    rings = [approximate_polygon(ring, _TOLERANCE)[:-1] for ring in _rings(crop)]
    return np.concatenate(rings) + np.array([top, left])


def _away(masks: InstanceMasks, indices: Sequence[int], points: Float64[np.ndarray, "k 2"]) -> int:
    """How many points lie further than two pixels from the outline of these masks together."""
    whole = np.zeros(masks.shape, dtype=bool)
    for index in indices:
        whole[masks.windows[index]] |= masks.crops[index]
    distances, _ = cKDTree(np.concatenate(_rings(whole))).query(points)
    return int((distances > _TOLERANCE).sum())


def _rings(mask: Bool[np.ndarray, "h w"]) -> list[Float64[np.ndarray, "k 2"]]:
    """Closed outlines (y, x) in pixels of the mask."""
    return [ring - 1 for ring in find_contours(np.pad(mask, 1).astype(np.float32), 0.5)]


def _named(masks: CocoMasks, name: str) -> InstanceMasks:
    """The masks of an image with the names of their categories."""
    found, findings = masks.read(name)
    refuse_unsound(findings)
    return found
