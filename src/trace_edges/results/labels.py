"""Label maps: where each number lies. Arrays of whatever was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32
from scipy.ndimage import find_objects

Crop = Bool[np.ndarray, "a b"]
Window = tuple[slice, slice]

_FEW = 2**16


def label_array(given: Any) -> np.ndarray:
    """A label map (H, W) of an array, a tensor or lists.

    Raises:
        ValueError: it is not of integers, or a number is below 0, as maps have it that mark borders
            or void with -1.
    """
    labels = plain_array(given)
    if labels.ndim != 2 or labels.dtype.kind not in "iub":
        raise ValueError(f"a label map is (h, w) integers, not {labels.dtype} {labels.shape}: one "
                         "number per instance")  # fmt: skip
    if labels.size and labels.min() < 0:
        raise ValueError(f"a label map holds {labels.min()}: numbers of instances are 0 or "
                         "more; give pixels without an instance the background's")  # fmt: skip
    return labels


def label_windows(labels: np.ndarray) -> dict[int, tuple[Window, Crop]]:
    """Of every number in a label map (H, W), ascending: its box, and where it lies in it."""
    if not labels.size:
        return {}
    if labels.min() >= 0 and labels.max() < _FEW:
        numbers, places = range(int(labels.max()) + 1), labels
    else:  # of numbers that may be far apart; sorting them takes ten times as long
        found, inverse = np.unique(labels, return_inverse=True)
        numbers, places = found.tolist(), inverse.reshape(labels.shape)
    boxes = find_objects(places.astype(np.int32) + 1)
    return {
        number: (box, labels[box] == number)
        for number, box in zip(numbers, boxes, strict=True)
        if box is not None
    }


def painted(
    windows: Sequence[Window],
    crops: Sequence[Crop],
    shape: tuple[int, int],
    numbers: Sequence[int],
    crowds: Sequence[bool] | None = None,
) -> Int32[np.ndarray, "h w"]:
    """Masks in one map, each in its number: crowds at the bottom, and the smaller on the larger."""
    labels = np.zeros(shape, dtype=np.int32)
    for place in painting_order([int(np.count_nonzero(crop)) for crop in crops], crowds):
        labels[windows[place]][crops[place]] = numbers[place]
    return labels


def painting_order(areas: Sequence[int], crowds: Sequence[bool] | None = None) -> list[int]:
    """Places of masks, the lowest first: crowds, then by falling area; equal ones as they come."""
    below = crowds or [False] * len(areas)
    return sorted(range(len(areas)), key=lambda n: (not below[n], -areas[n]))


def plain_array(given: Any) -> np.ndarray:
    """An array of an array, a tensor or a list."""
    return np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
