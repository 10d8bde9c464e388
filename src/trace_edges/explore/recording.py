"""The attention of every step of a trajectory, kept so that any row of it can be looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float16, Float32, UInt8
from PIL import Image

from trace_edges.explain.sheets import MapColours
from trace_edges.results import EdgeMap
from trace_edges.sources import Size, Step
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.settings import TraceSettings, is_single_pass, visited_steps

MOST_BYTES = 2 << 30  # of the maps of one image, on disk


@dataclass(frozen=True, eq=False)
class Recording:
    """What self-attention did with one image, at every step.

    Attributes:
        timesteps: (S,) ascending.
        grid: (h, w) of the attention; N = h * w.
        maps: (S, N, N) N times the attention of each step, so that a row that looks everywhere
            alike is 1 all over; float16, on disk.
        colours: of each step, the map's principal components as an image of the grid.
        divergence: (S, h, w) ABDiv of each step, nats.
        edges: the edges at t*, with the curve from which t* was found.
        folder: of `maps`; it goes when nothing refers to it any more.
    """

    timesteps: tuple[int, ...]
    grid: Size
    maps: Float16[np.ndarray, "s n n"]
    colours: tuple[Image.Image, ...]
    divergence: Float32[np.ndarray, "s h w"]
    edges: EdgeMap
    folder: TemporaryDirectory[str]

    def row(self, step: int, place: Size) -> Float32[np.ndarray, "h w"]:
        """Where one place of the image looks: its row of SA(X_t), which sums to 1.

        Args:
            step: which of the S steps.
            place: (row, column) on the grid.
        """
        height, width = self.grid
        row = self.maps[step, place[0] * width + place[1]].astype(np.float32)
        return (row / row.sum()).reshape(height, width)

    def place(self, x: float, y: float) -> Size:
        """The place on the grid, (row, column), of a point in shares of the width and height."""
        height, width = self.grid
        return min(int(y * height), height - 1), min(int(x * width), width - 1)

    @cached_property
    def emergence(self) -> int:
        """Which of the S steps t* is."""
        assert self.edges.emergence is not None
        return self.timesteps.index(int(self.edges.emergence.timestep[0]))


def record(
    pipe: TraceEdgePipeline,
    image: UInt8[np.ndarray, "h w 3"],
    settings: TraceSettings,
    on_step: Callable[[int], None],
) -> Recording:
    """Read the whole trajectory of an image on the grid of `settings`, and keep it.

    Args:
        on_step: called with the number of steps that are done; what it raises ends the work.

    Raises:
        ValueError: the maps would take more than `MOST_BYTES`.
        BackboneError: as of the pipeline.
    """
    if not is_single_pass(pipe.backbone):  # every step on the grid that the edges come from
        settings = replace(settings, emergence_resolution=pipe.describe(settings)["resolution"])
    timesteps = visited_steps(pipe.backbone, settings)
    size = pipe.preparation(settings)(image).size
    grid = size[0] // pipe.backbone.cell, size[1] // pipe.backbone.cell
    shape = len(timesteps), grid[0] * grid[1], grid[0] * grid[1]
    needed = 2 * math.prod(shape)
    if needed > MOST_BYTES:
        raise ValueError(
            f"the attention of {shape[0]} steps on a grid of {grid[0]} x {grid[1]} takes "
            f"{needed / 2**30:.1f} GiB, and "
            f"{MOST_BYTES / 2**30:.0f} GiB are kept at most: choose a smaller resolution"
        )
    folder = TemporaryDirectory(prefix="trace-edges-", ignore_cleanup_errors=True)
    maps = np.memmap(f"{folder.name}/maps", dtype=np.float16, mode="w+", shape=shape)
    colours: list[Image.Image] = []
    divergence: list[np.ndarray] = []
    drawing = MapColours()

    def keep(step: Step) -> None:
        on_step(len(colours))
        attention = step.attention[0]
        maps[len(colours)] = (attention * attention.shape[1]).half().cpu().numpy()
        colours.append(drawing.draw(attention, step.grid))
        found = boundary_divergence(step.attention, step.grid, **settings.divergence)
        divergence.append(found[0].cpu().numpy())

    edges = pipe(image, settings, on_step=keep)
    return Recording(timesteps, grid, maps, tuple(colours), np.stack(divergence), edges, folder)
