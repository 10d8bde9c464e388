"""Propagation by a random walk, as in the paper, after IRN (Ahn et al., CVPR 2019).

A walker on a grid of cells steps to any cell nearby, the less likely the stronger an edge between
the two. Fragments start with weight on their cells, and every cell ends with the fragment whose
walkers visit it most. IRN squares a dense matrix of all cells by all cells; here the steps are
taken one by one with a sparse matrix, which is the same walk.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from trace_edges.instances.components import Edges, Labels, Mask

STRIDE, RADIUS, SHARPNESS, STEPS = 4, 5, 10, 256  # IRN's


def random_walk(
    markers: Labels, edges: Edges, mask: Mask, device: str | torch.device = "cpu"
) -> Labels:
    """Give the pixels of a mask that no marker owns to the marker whose walkers visit them most.

    Args:
        markers: (h, w) their numbers, 0 where none is; they keep what they have.
        edges: (h, w) in [0, 1].
        mask: (h, w) where the walk may go.
        device: where the matrix lies, for instance "cuda".

    Returns:
        (h, w) the markers, grown over the pixels that a walker reaches.
    """
    numbers, seeds = np.unique(markers, return_inverse=True)
    cells = _Cells(edges, mask, device)
    weights = torch.stack([cells.share(seeds.reshape(mask.shape) == k)
                           for k in range(int(numbers[0] == 0), len(numbers))], dim=1)  # fmt: skip
    weights = weights * (1 - cells.edges[:, None])
    walk = cells.transitions()
    for _ in range(STEPS):
        weights = walk @ weights
    owner, best = np.zeros_like(markers), np.zeros(mask.shape, dtype=np.float32)
    for column, number in enumerate(numbers[numbers > 0]):  # one at a time: a map of each is large
        visits = cells.upsample(weights[:, column])
        better = visits > best
        owner[better], best[better] = number, visits[better]
    return np.where(mask & (markers == 0), owner, markers)


class _Cells:
    """The mask in cells of `STRIDE` pixels; the edge of a cell is its strongest."""

    def __init__(self, edges: Edges, mask: Mask, device: str | torch.device) -> None:
        self.size, self.device = mask.shape, device
        strongest = functional.max_pool2d(self._padded(edges), STRIDE)[0, 0]
        self.inside = functional.max_pool2d(self._padded(mask), STRIDE)[0, 0] > 0
        self.edge_map = strongest
        self.edges = strongest[self.inside]
        self.number = torch.full(self.inside.shape, -1, device=device)
        self.number[self.inside] = torch.arange(len(self.edges), device=device)

    def share(self, region: Mask) -> Float[Tensor, " cells"]:
        """Share of each cell that is in a region."""
        return functional.avg_pool2d(self._padded(region), STRIDE)[0, 0][self.inside]

    def upsample(self, values: Float[Tensor, " cells"]) -> np.ndarray:
        """(h, w) values of the cells, interpolated; 0 outside the mask."""
        grid = torch.zeros(self.inside.shape, device=self.device)
        grid[self.inside] = values
        large = functional.interpolate(grid[None, None], scale_factor=STRIDE, mode="bilinear")
        return large[0, 0, : self.size[0], : self.size[1]].cpu().numpy()

    def transitions(self) -> Tensor:
        """(cells, cells) sparse: the affinity 1 - (strongest edge on the line), to the power of
        `SHARPNESS`, over its sum.
        """
        count = len(self.edges)
        itself = torch.arange(count, device=self.device)
        starts, ends, affinities = [itself], [itself], [torch.ones(count, device=self.device)]
        for down, right in _steps():
            start, end, affinity = self._step(down, right)
            starts += [start, end]
            ends += [end, start]
            affinities += [affinity, affinity]
        index = torch.stack([torch.cat(starts), torch.cat(ends)])
        values = torch.cat(affinities) ** SHARPNESS
        total = torch.zeros(count, device=self.device).index_add_(0, index[0], values)
        values = values / total[index[0]]
        return torch.sparse_coo_tensor(
            index, values, (count, count), check_invariants=False
        ).coalesce()

    def _step(
        self, down: int, right: int
    ) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"], Float[Tensor, " n"]]:
        """Cells, the cell so far down and right of each, and the affinity between them."""
        rows, columns = torch.nonzero(self.inside, as_tuple=True)
        height, width = self.inside.shape
        there = (rows + down < height) & (columns + right < width) & (columns + right >= 0)
        rows, columns = rows[there], columns[there]
        end = self.number[rows + down, columns + right]
        kept = end >= 0
        rows, columns, end = rows[kept], columns[kept], end[kept]
        samples = max(down, abs(right))
        strongest = torch.zeros(len(rows), device=self.device)
        for k in range(samples + 1):
            on_line = self.edge_map[
                rows + round(k * down / samples), columns + round(k * right / samples)
            ]
            strongest = torch.maximum(strongest, on_line)
        return self.number[rows, columns], end, 1 - strongest

    def _padded(self, values: np.ndarray) -> Float[Tensor, "1 1 h w"]:
        bottom, right = (-side % STRIDE for side in self.size)
        padded = np.pad(values.astype(np.float32), ((0, bottom), (0, right)))
        return torch.from_numpy(padded).to(self.device)[None, None]


def _steps() -> list[tuple[int, int]]:
    """One of each two opposite steps shorter than `RADIUS` cells."""
    reach = range(-RADIUS + 1, RADIUS)
    return [
        (down, right)
        for down in range(RADIUS)
        for right in reach
        if (down, right) > (0, 0) and down**2 + right**2 < RADIUS**2
    ]
