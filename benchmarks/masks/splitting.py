"""Semantic maps split at edges, as a table counts them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from trace_edges.instances import Attachment, Propagation, panoptic_from_semantic
from trace_edges.metrics.panoptic import Panoptic, PanopticCounts, SegmentInfo, panoptic_scores
from trace_edges.results import Category


def predicted(
    semantic: np.ndarray,
    edges: np.ndarray,
    things: Collection[int],
    propagation: Propagation,
    attachment: Attachment | None = None,
) -> Panoptic:
    """What `panoptic_from_semantic` makes of a map in which 0 is void."""
    found = panoptic_from_semantic(
        semantic, edges, things, void=0, propagation=propagation,
        attachment=attachment or Attachment(),
    )  # fmt: skip
    return Panoptic(found.ids, [SegmentInfo(s.id, s.category) for s in found.segments])


def table_of(counts: PanopticCounts) -> list[list[float]]:
    """The classes that occur: number, sum of IoU, true, false and missed segments."""
    table = np.stack([counts.iou, counts.tp, counts.fp, counts.fn], axis=1)
    return [[k, *table[k].tolist()] for k in np.flatnonzero(table.any(axis=1)).tolist()]


def counts_in(tables: Sequence[list[list[float]]], classes: int) -> list[PanopticCounts]:
    """The counts of every image, from what `table_of` made of them."""
    counts = []
    for rows in tables:
        table = np.zeros((4, classes))
        for k, *numbers in rows:
            table[:, k] = numbers
        counts.append(PanopticCounts(table[0], *table[1:].astype(np.int64)))
    return counts


def scores_of(counts: Sequence[PanopticCounts], categories: Sequence[Category]) -> dict[str, Any]:
    """In [0, 1]; `pooled` is PQ of things with all classes counted as one."""
    scores = panoptic_scores(counts, categories)
    total = reduce(add, counts)
    thing = np.array([category.thing for category in categories])
    iou, tp, fp, fn = (float(part[thing].sum()) for part in vars(total).values())
    return {
        "pq": scores.all.pq, "sq": scores.all.sq, "rq": scores.all.rq,
        "pq_things": scores.things.pq, "sq_things": scores.things.sq,
        "rq_things": scores.things.rq, "pooled": iou / (tp + fp / 2 + fn / 2),
        "tp": tp, "fp": fp, "fn": fn,
    }  # fmt: skip


def resampled(counts: Sequence[PanopticCounts], thing: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(draws, 3) PQ, PQ of things, and pooled PQ of things of each draw of images."""
    iou, tp, fp, fn = (
        times @ np.stack([getattr(one, name) for one in counts])
        for name in ("iou", "tp", "fp", "fn")
    )
    weight = tp + (fp + fn) / 2  # (draws, classes)
    quality, occurs = iou / np.maximum(weight, 0.5), weight > 0
    means = [(quality * mine).sum(axis=1) / mine.sum(axis=1) for mine in (occurs, occurs & thing)]
    return np.stack([*means, (iou @ thing) / (weight @ thing)], axis=1)
