"""Regions of a hierarchy as a person corrects them: merged, split, taken away."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int32, Int64

from trace_edges.instances.hierarchy import Hierarchy
from trace_edges.results import InstanceMasks

_GONE = -1


@dataclass(frozen=True, eq=False)
class Regions:
    """A partition of the image, whose parts are unions of the leaves of a hierarchy.

    Every change gives new regions; `before` leads back.

    Attributes:
        tree: of the edges.
        region: (leaves,) number of the region of each leaf; -1 where it was taken away.
        before: the regions before the last change.
    """

    tree: Hierarchy
    region: Int64[np.ndarray, " leaves"]
    before: Regions | None = None

    @classmethod
    def at(cls, tree: Hierarchy, strength: float) -> Regions:
        """Those that boundaries stronger than `strength` leave."""
        return cls(tree, tree.nodes_at(strength))

    @property
    def labels(self) -> Int32[np.ndarray, "h w"]:
        """(H, W) from 1 on, in the order of the regions' numbers; 0 where one was taken away."""
        kept = np.unique(self.region[self.region != _GONE])
        numbers = np.where(self.region == _GONE, 0, np.searchsorted(kept, self.region) + 1)
        return numbers.astype(np.int32)[self.tree.labels]

    @property
    def masks(self) -> InstanceMasks:
        """The regions as instances; all scores are 1."""
        return InstanceMasks.from_labels(self.labels, settings={"source": "edges, corrected"})

    def __len__(self) -> int:
        return len(np.unique(self.region[self.region != _GONE]))

    def at_pixel(self, row: int, column: int) -> int:
        """Number of the region at a pixel; -1 where there is none."""
        return int(self.region[self.tree.labels[row, column]])

    def merge(self, one: int, other: int) -> Regions:
        """Two regions, wherever they lie, become one."""
        return self._changed(np.where(self.region == other, one, self.region))

    def remove(self, number: int) -> Regions:
        """A region is taken away, as background is."""
        return self._changed(np.where(self.region == number, _GONE, self.region))

    def split(self, number: int) -> Regions:
        """A region becomes the two that the strongest boundary within it divides.

        Raises:
            ValueError: it is a single leaf: the edges show no boundary within it.
        """
        mine = np.flatnonzero(self.region == number)
        if len(mine) < 2:
            raise ValueError("the edges show no boundary within this region")
        # Climb from all of its leaves at once, always from the lowest node, until two are left:
        # parents have larger numbers than their children, so these meet in the last merge.
        nodes = mine.copy()
        while len(tops := np.unique(nodes)) > 2:
            nodes[nodes == tops[0]] = self.tree.parents[tops[0]]
        region = self.region.copy()
        free = max(len(self.tree.parents), int(region.max()) + 1)
        region[mine[nodes == tops[0]]] = free
        return self._changed(region)

    def undone(self) -> Regions:
        """As it was before the last change."""
        return self if self.before is None else self.before

    def _changed(self, region: Int64[np.ndarray, " leaves"]) -> Regions:
        return replace(self, region=region, before=self)
