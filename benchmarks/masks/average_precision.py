"""COCO's AP of masks of one category, in a form in which images can be drawn again and again.

Which masks of an image are right does not depend on other images: matching is done once, and a
bootstrap only counts anew. The numbers are those of `evaluate_masks`; `masks.py` holds them to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coder

LEVELS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
LIMIT = 100


def encoded(masks: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Compressed RLE with counts as text."""
    rles = [coder.encode(np.asfortranarray(mask).view(np.uint8)) for mask in masks]
    return [{"size": list(r["size"]), "counts": r["counts"].decode("ascii")} for r in rles]


def matched(
    rles: Sequence[dict], scores: Sequence[float], truths: Sequence[dict], crowd: Sequence[bool]
) -> dict[str, Any]:
    """What one image adds: for each mask, best first, the IoU levels it is right or ignored at.

    Levels are bits of a number. `best` is the largest IoU that each true mask has with any.
    """
    areas = [int(coder.area(rle)) for rle in rles]  # of over 255 at once pycocotools 2.0.11 fails
    order = sorted(range(len(rles)), key=lambda k: (-scores[k], -areas[k], rles[k]["counts"]))
    order = order[:LIMIT]
    ious = np.zeros((len(order), len(truths)))
    if order and truths:
        ious = np.asarray(coder.iou([rles[k] for k in order], list(truths), list(crowd)))
    group = np.array(crowd, dtype=bool)
    right, ignored = [0] * len(order), [0] * len(order)
    for bit, level in enumerate(LEVELS):
        free = ~group
        for place, row in enumerate(ious):
            possible = np.where(free, row, -1)
            if possible.size and possible.max() >= level - 1e-10:
                # Of equal ones the last, as COCO's evaluator has it.
                free[len(row) - 1 - np.argmax(possible[::-1])] = False
                right[place] |= 1 << bit
            elif group.any() and row[group].max() >= level - 1e-10:
                ignored[place] |= 1 << bit
    return {
        "scores": [float(scores[k]) for k in order],
        "right": right,
        "ignored": ignored,
        "best": ious[:, ~group].max(axis=0).tolist() if order else [0.0] * int((~group).sum()),
    }


class Precision:
    """AP, AR and mean best IoU of a set of matched images, each counted any number of times."""

    def __init__(self, images: Sequence[dict[str, Any]]) -> None:
        scores = np.array([score for one in images for score in one["scores"]])
        order = np.argsort(-scores, kind="stable")
        bits = 1 << np.arange(len(LEVELS))[:, None]

        def levels(key: str) -> np.ndarray:
            numbers = np.array([n for one in images for n in one[key]], dtype=np.int64)[order]
            return (numbers & bits) > 0  # (levels, masks)

        self.right = levels("right")
        self.counted = ~levels("ignored")
        self.of_image = np.repeat(np.arange(len(images)), [len(i["scores"]) for i in images])[order]
        self.true = np.array([len(one["best"]) for one in images])
        self.best = np.array([sum(one["best"]) for one in images])

    def ap(self, times: np.ndarray) -> float:
        """Of the images, the k-th counted `times[k]` times."""
        weight = times[self.of_image]
        right = np.cumsum(self.right * weight, axis=1)
        all_ = np.cumsum(self.counted * weight, axis=1)
        recall = right / max(1, int(times @ self.true))
        precision = right / np.maximum(all_, 1e-9)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        total = 0.0
        for one, curve in zip(recall, envelope, strict=True):
            places = np.searchsorted(one, RECALLS, side="left")
            total += curve[places[places < len(curve)]].sum()
        return float(total) / len(RECALLS) / len(LEVELS)

    def ar(self, times: np.ndarray) -> float:
        found = (self.right * times[self.of_image]).sum()
        return float(found) / len(LEVELS) / max(1, int(times @ self.true))

    def best_iou(self, times: np.ndarray) -> float:
        return float(times @ self.best) / max(1, int(times @ self.true))
