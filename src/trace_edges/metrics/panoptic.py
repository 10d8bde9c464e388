"""Panoptic quality (Kirillov et al., CVPR 2019), as COCO counts it.

A predicted segment matches a true one of its class where their IoU is above 1/2, which at most one
can be. Void, of which the ground truth says nothing, and crowds are neither right nor wrong:

* pixels of a prediction on void do not count in the union;
* a crowd is never matched and never missing;
* an unmatched prediction with more than half of it on void and on crowds of its class is dropped.

Of several crowds of one class in an image all count. panopticapi, whose numbers these are
otherwise, looks at the last one that the file lists.

Areas are pixel counts of the map, not what the file says they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from trace_edges.results import Category

Protocol = Literal["coco", "voc"]
Ids = Integer[np.ndarray, "h w"]

VOC_THINGS = 20


@dataclass(frozen=True)
class SegmentInfo:
    """A segment of ground truth or of a prediction, its pixels aside, as COCO's `segments_info`."""

    id: int
    category: int
    crowd: bool = False


@dataclass(frozen=True, eq=False)
class Panoptic:
    """One image in segments.

    Attributes:
        ids: (h, w) the id of the segment each pixel belongs to; 0 is void.
        segments: every id of the map but 0, once; crowds may be listed that have no pixel.
    """

    ids: Ids
    segments: Sequence[SegmentInfo]

    def __post_init__(self) -> None:
        if self.ids.ndim != 2:
            raise ValueError(f"ids must be one map (h, w), not {self.ids.shape}")
        listed = [segment.id for segment in self.segments]
        if 0 in listed:
            raise ValueError("a segment has the id 0, which is void: give it another id")
        if twice := [id for id in set(listed) if listed.count(id) > 1]:
            raise ValueError(f"segment {twice[0]} is listed twice: give every segment its own id")
        missing = (self.areas[1:] == 0) & ~self.crowd
        if missing.any():
            raise ValueError(
                f"segment {listed[int(np.argmax(missing))]} is listed but not in the image: "
                "take it off segments_info"
            )

    @cached_property
    def places(self) -> Int64[np.ndarray, "h w"]:
        """(h, w) 0 for void, else k for the k-th segment; `ValueError` for an unlisted id."""
        listed = np.array([0, *(segment.id for segment in self.segments)], dtype=np.int64)
        order = np.argsort(listed)
        found = order[np.minimum(np.searchsorted(listed, self.ids, sorter=order), len(order) - 1)]
        unlisted = listed[found] != self.ids
        if unlisted.any():
            raise ValueError(
                f"segment {self.ids[unlisted][0]} is in the image but not listed: "
                "add it to segments_info"
            )
        return found

    @cached_property
    def areas(self) -> Int64[np.ndarray, " segments+1"]:
        """Pixels of void and of each segment."""
        return np.bincount(self.places.ravel(), minlength=len(self.segments) + 1)

    @property
    def crowd(self) -> Bool[np.ndarray, " segments"]:
        """Which segments are crowds."""
        return np.array([segment.crowd for segment in self.segments], dtype=bool)


@dataclass(frozen=True, eq=False)
class PanopticCounts:
    """Segments counted by class, of one image or summed over several; `iou` sums over matches."""

    iou: Float64[np.ndarray, " classes"]
    tp: Int64[np.ndarray, " classes"]
    fp: Int64[np.ndarray, " classes"]
    fn: Int64[np.ndarray, " classes"]

    def __add__(self, other: PanopticCounts) -> PanopticCounts:
        return PanopticCounts(*map(np.add, astuple(self), astuple(other)))


@dataclass(frozen=True)
class Quality:
    """PQ, SQ and RQ in [0, 1]: means over `classes` classes; None where there is no class."""

    pq: float | None
    sq: float | None
    rq: float | None
    classes: int


@dataclass(frozen=True)
class ClassQuality:
    """One class: PQ = SQ * RQ, all None where it is neither true nor predicted anywhere."""

    id: int
    name: str
    thing: bool
    pq: float | None
    sq: float | None
    rq: float | None
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class PanopticScores:
    """Panoptic quality in [0, 1] (papers print percent) over a set of images.

    Attributes:
        all, things, stuff: means over the classes that occur, in the truth or in a prediction.
        per_class: every class of the protocol, in the order of the ground truth.
        categories: how many classes there are.
        protocol: "coco", whatever classes the ground truth lists; "voc", 20 things and background.
    """

    all: Quality
    things: Quality
    stuff: Quality
    per_class: tuple[ClassQuality, ...]
    categories: int
    images: int
    protocol: Protocol


def panoptic_quality(
    pairs: Iterable[tuple[Panoptic, Panoptic]],
    categories: Sequence[Category],
    protocol: Protocol = "coco",
) -> PanopticScores:
    """Score pairs of (prediction, ground truth), one per image.

    Raises:
        ValueError: a pair differs in size, a segment is of no category, the categories are not
            the protocol's, or there is no pair.
    """
    return panoptic_scores(
        (panoptic_counts(*pair, categories) for pair in pairs), categories, protocol
    )


def panoptic_counts(
    prediction: Panoptic, truth: Panoptic, categories: Sequence[Category]
) -> PanopticCounts:
    """Count matched, wrong and missed segments of one image; errors as in `panoptic_quality`."""
    if prediction.ids.shape != truth.ids.shape:
        raise ValueError(
            f"the prediction is {prediction.ids.shape} in size and the ground truth "
            f"{truth.ids.shape}: bring it to the size of the image"
        )
    rows, columns = len(truth.segments) + 1, len(prediction.segments) + 1
    pairs = truth.places.ravel() * columns + prediction.places.ravel()
    overlap = np.bincount(pairs, minlength=rows * columns).reshape(rows, columns)
    void, common = overlap[0, 1:], overlap[1:, 1:]
    union = truth.areas[1:, None] + prediction.areas[1:] - common - void
    iou = common / np.maximum(1, union)  # two crowds without pixels have no union
    true_class, predicted_class = _classes(truth, categories), _classes(prediction, categories)
    same = true_class[:, None] == predicted_class
    crowd = truth.crowd[:, None]
    matched = same & (iou > 0.5) & ~crowd
    unscored = void + np.where(same & crowd, common, 0).sum(axis=0)
    wrong = (
        ~matched.any(axis=0) & (2 * unscored <= prediction.areas[1:]) & (prediction.areas[1:] > 0)
    )
    missed = ~matched.any(axis=1) & ~truth.crowd
    true_match, _ = np.nonzero(matched)
    size = len(categories)
    return PanopticCounts(
        iou=np.bincount(true_class[true_match], weights=iou[matched], minlength=size),
        tp=np.bincount(true_class[true_match], minlength=size),
        fp=np.bincount(predicted_class[wrong], minlength=size),
        fn=np.bincount(true_class[missed], minlength=size),
    )


def panoptic_scores(
    counts: Iterable[PanopticCounts], categories: Sequence[Category], protocol: Protocol = "coco"
) -> PanopticScores:
    """Scores from the counts of every image; errors as in `panoptic_quality`."""
    check_categories(categories, protocol)
    images, size = 0, len(categories)
    total = PanopticCounts(np.zeros(size), *np.zeros((3, size), dtype=np.int64))
    for one in counts:
        total, images = total + one, images + 1
    if not images:
        raise ValueError("no image to evaluate: the ground truth lists none")
    occurring = total.tp + total.fp + total.fn > 0
    sq = total.iou / np.maximum(1, total.tp)
    rq = total.tp / np.maximum(0.5, total.tp + (total.fp + total.fn) / 2)
    thing = np.array([category.thing for category in categories], dtype=bool)
    numbers = np.stack([sq * rq, sq, rq])
    return PanopticScores(
        all=_mean(numbers[:, occurring]),
        things=_mean(numbers[:, occurring & thing]),
        stuff=_mean(numbers[:, occurring & ~thing]),
        per_class=tuple(
            ClassQuality(
                category.id,
                category.name,
                category.thing,
                *(numbers[:, k].tolist() if occurring[k] else (None, None, None)),
                *(int(count[k]) for count in (total.tp, total.fp, total.fn)),
            )
            for k, category in enumerate(categories)
        ),
        categories=size,
        images=images,
        protocol=protocol,
    )


def check_categories(categories: Sequence[Category], protocol: Protocol) -> None:
    """`ValueError` where the categories are not those of the protocol, or share an id."""
    if protocol not in get_args(Protocol):
        raise ValueError(
            f"unknown protocol {protocol!r}: choose from {', '.join(get_args(Protocol))}"
        )
    if len({category.id for category in categories}) < len(categories):
        raise ValueError("two categories share an id: renumber them")
    things = sum(category.thing for category in categories)
    stuff = len(categories) - things
    if protocol == "voc" and (things, stuff) != (VOC_THINGS, 1):
        raise ValueError(
            f"protocol voc has {VOC_THINGS} things and one stuff class, the background, not "
            f"{things} and {stuff}: merge the stuff into one class, or choose protocol coco"
        )


def _classes(image: Panoptic, categories: Sequence[Category]) -> Int64[np.ndarray, " segments"]:
    """The place of each segment's category in the list."""
    places = {category.id: place for place, category in enumerate(categories)}
    for segment in image.segments:
        if segment.category not in places:
            raise ValueError(
                f"segment {segment.id} is of category {segment.category}, which the ground truth "
                "does not list: map it to one of its categories"
            )
    return np.array([places[segment.category] for segment in image.segments], dtype=np.int64)


def _mean(numbers: Float64[np.ndarray, "3 classes"]) -> Quality:
    if not numbers.shape[1]:
        return Quality(None, None, None, 0)
    pq, sq, rq = numbers.mean(axis=1).tolist()
    return Quality(pq, sq, rq, numbers.shape[1])
