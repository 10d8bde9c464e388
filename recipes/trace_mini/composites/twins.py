"""Touching instances of one kind: what no map of classes can separate."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Bool, Integer

Pair = tuple[int, int]


def touching_twins(ids: Integer[np.ndarray, "h w"], names: Sequence[str]) -> list[Pair]:
    """Pairs of instances of one name that share a border, the smaller number first.

    Args:
        ids: number of the instance of each pixel, from 1 on; 0 is ground.
        names: of the instances 1, 2, ...
    """
    found = set()
    for one, two in _neighbours(ids):
        apart = (one != two) & (one > 0) & (two > 0)
        pairs = np.unique(np.stack([one[apart], two[apart]], axis=1), axis=0)
        found |= {(int(min(pair)), int(max(pair))) for pair in pairs}
    return sorted(pair for pair in found if names[pair[0] - 1] == names[pair[1] - 1])


def border_between(
    ids: Integer[np.ndarray, "h w"], pairs: Collection[Sequence[int]]
) -> Bool[np.ndarray, "h w"]:
    """Pixels whose right or lower neighbour is the other one of a pair."""
    wanted = {(min(pair), max(pair)) for pair in pairs}
    border = np.zeros(ids.shape, dtype=bool)
    places = border[:-1], border[:, :-1]  # views: what is written here stands in the border
    for (one, two), place in zip(_neighbours(ids), places, strict=True):
        for low, high in wanted:
            place |= ((one == low) & (two == high)) | ((one == high) & (two == low))
    return border


def _neighbours(ids: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Each pixel with the one below, and with the one to its right."""
    return (ids[:-1], ids[1:]), (ids[:, :-1], ids[:, 1:])
