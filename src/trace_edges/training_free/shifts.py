"""Finer than the grid: look at an image shifted by fractions of a cell and interleave the answers.

One view samples ABDiv once per attention cell. k x k views, each shifted by 1/k of a cell, sample
it k times as densely: the model is not asked to see more, only to look again a little to the side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from trace_edges.images import resize_image, to_tensor

Shift = tuple[int, int]


def shifts(subcell: int) -> list[Shift]:
    """The k * k shifts (rows, columns) in k-ths of a cell; the unshifted one comes first."""
    return [(row, column) for row in range(subcell) for column in range(subcell)]


def shifted_views(
    images: list[UInt8[np.ndarray, "_ _ 3"]], size: tuple[int, int], cell: int, subcell: int
) -> Iterator[tuple[Shift, Float32[Tensor, "b 3 H W"]]]:
    """Every shift with the images as the model sees them: `size` (H, W) px, in [-1, 1].

    All views are windows of one image that is (k - 1)/k of a cell larger than a view, so none
    is padded and none resampled on its own.

    Raises:
        ValueError: `subcell` does not divide the cell (px of the model's input).
    """
    if subcell < 1 or cell % subcell:
        divisors = [k for k in range(1, cell + 1) if cell % k == 0]
        raise ValueError(f"subcell={subcell} does not divide the cell of {cell} px; use one of "
                         f"{', '.join(map(str, divisors))}")  # fmt: skip
    step = cell // subcell
    height, width = size
    margin = step * (subcell - 1)
    larger = [resize_image(image, (height + margin, width + margin)) for image in images]
    whole = torch.stack([to_tensor(image) for image in larger])  # (B, 3, H+margin, W+margin)
    for row, column in shifts(subcell):
        top, left = row * step, column * step
        yield (row, column), whole[..., top : top + height, left : left + width]


def interleave(
    answers: Mapping[Shift, Float32[np.ndarray, "gh gw"]], subcell: int
) -> Float32[np.ndarray, "fh fw"]:
    """One fine grid from the k * k grids of the shifted views: (k * h, k * w)."""
    h, w = answers[0, 0].shape
    fine = np.empty((h * subcell, w * subcell), dtype=np.float32)
    for row, column in shifts(subcell):
        fine[row::subcell, column::subcell] = answers[row, column]
    return fine
