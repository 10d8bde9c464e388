"""The instances of one picture: of its edges alone, or of a generator cut at them; then SAM's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from math import sqrt
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from trace_edges.backbones import ViTBackbone
from trace_edges.detector import DetectorSettings, EdgeDetector
from trace_edges.images import model_size, resize_image, to_tensor
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.grids import (
    attention_affinity,
    centred_affinity,
    feature_affinity,
    instances_from_grid,
)
from trace_edges.instances.hierarchy import build_hierarchy
from trace_edges.instances.maskcut import maskcut
from trace_edges.instances.promerge import promerge
from trace_edges.instances.refine import refine_instances
from trace_edges.instances.regions import (
    STRENGTH,
    instances_at,
    instances_of_count,
    proposals,
)
from trace_edges.jobs import EdgeFolder
from trace_edges.jobs.prompting import Prompting
from trace_edges.results import InstanceMasks
from trace_edges.training_free.pipeline import TraceEdgePipeline, TraceSettings
from trace_edges.training_free.trajectory import Step

Source = Literal["edges", "maskcut", "promerge"]
Picture = UInt8[np.ndarray, "h w 3"]
Edges = Float32[np.ndarray, "h w"]

_ENCODER_RESOLUTION = 480  # px, as MaskCut and ProMerge look at their pictures
_SEEDS = 16  # of ProMerge along a side, whatever the grid


class PictureError(ValueError):
    """One picture has no instances to be found as asked for; others may have."""


@dataclass(frozen=True)
class Selection:
    """Which of the regions that edges close are taken: one of three rules.

    Attributes:
        strength: those that boundaries stronger than this leave.
        count: the last so many; instead of `strength`.
        proposals: up to so many of all strengths, which overlap; instead of `strength`.
        min_area: share of the image below which a region is left out.
        blur: standard deviation in px of a Gaussian over the edges, for maps of thin lines.
    """

    strength: float = STRENGTH
    count: int | None = None
    proposals: int | None = None
    min_area: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        if self.count is not None and self.proposals is not None:
            raise ValueError("count and proposals exclude each other: give one")
        for name in ("strength", "min_area"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], not {getattr(self, name)}")
        if self.blur < 0:
            raise ValueError(f"blur must be 0 or more pixels, not {self.blur}")

    def __call__(self, edges: Edges) -> InstanceMasks:
        """The regions of one edge map."""
        tree = build_hierarchy(edges, blur=self.blur)
        if self.count is not None:
            return instances_of_count(tree, self.count, min_area=self.min_area)
        if self.proposals is not None:
            return proposals(tree, limit=self.proposals, min_area=self.min_area)
        return instances_at(tree, self.strength, min_area=self.min_area)


@dataclass(frozen=True, eq=False)
class Found:
    """The instances of a picture, and the step whose attention was read, where one was."""

    instances: InstanceMasks
    timestep: int | None


@dataclass(frozen=True, eq=False)
class InstanceFinder:
    """How instances are found.

    MaskCut and ProMerge look at the keys of `encoder`; without one at the self-attention of the
    diffusion model at t*. Their masks are then cut at the edges and merged.

    Attributes:
        source: "edges" alone, "maskcut" or "promerge".
        pipe, settings: what gives attention, and edges if nothing else does; None where neither is
            needed. Of the settings a detector takes the resolution.
        edges: edge maps that are there already, instead of those of `pipe`.
        selection: of the source "edges".
        propagation, iou: of the other sources (`refine_instances`).
        crf: outlines of their masks snap to the colours of the picture first (needs pydensecrf2).
        prompting: SAM draws what was found anew; None leaves it as it is.
        detector: gives the edges in one step, instead of `pipe`.
    """

    source: Source = "edges"
    pipe: TraceEdgePipeline | None = None
    settings: TraceSettings = field(default_factory=TraceSettings)
    edges: EdgeFolder | None = None
    encoder: ViTBackbone | None = None
    selection: Selection = Selection()
    propagation: Propagation = PROPAGATION
    iou: float = 0.5
    crf: bool = False
    prompting: Prompting | None = None
    detector: EdgeDetector | None = None

    def __post_init__(self) -> None:
        if self.source not in get_args(Source):
            known = ", ".join(get_args(Source))
            raise ValueError(f"unknown source of masks {self.source!r}: choose from {known}")
        if self.source == "edges" and (self.encoder is not None or self.crf):
            raise ValueError("edges alone need no encoder and no colours: choose maskcut or "
                             "promerge, or leave them out")  # fmt: skip
        if self.source != "edges" and self.selection != Selection():
            raise ValueError("strength, count, proposals, min_area and blur choose among regions "
                             "of edges: choose that source, or leave them out")  # fmt: skip
        if self.pipe is None and self._asks_pipe():
            raise ValueError("a pipeline is needed for what is not there already")

    def describe(self) -> dict[str, Any]:
        """All that the result depends on, plain JSON values."""
        known: dict[str, Any] = {"source": self.source}
        if self.pipe is not None:
            known |= self.pipe.describe(self.settings)
        if self.edges is not None:
            known["edges"] = str(self.edges.folder)
        if self.detector is not None:
            seen_at = DetectorSettings(self.settings.resolution)
            known["detector"] = self.detector.describe(seen_at)
        known["sam"] = None if self.prompting is None else self.prompting.describe()
        if self.source == "edges":
            return known | asdict(self.selection)
        encoder = None if self.encoder is None else self.encoder.name
        made = {"encoder": encoder, "crf": self.crf, "iou": self.iou}
        return known | made | {"propagation": asdict(self.propagation)}

    def __call__(self, picture: Picture, name: str) -> Found:
        """Find the instances of a picture, as SAM sees them if it is asked.

        Args:
            name: of the picture, under which its edges are filed where `edges` is given.

        Raises:
            PictureError: it has no edge map, one of another size, or fewer regions than `count`.
            ValueError: the settings fit no picture.
        """
        instances, timestep = self._instances(picture, name)
        if self.prompting is not None:
            instances = self.prompting(picture, instances)
        return Found(instances, timestep)

    def _instances(self, picture: Picture, name: str) -> tuple[InstanceMasks, int | None]:
        edges, timestep = self._edges(picture, name)
        if self.source == "edges":
            try:
                return self.selection(edges), timestep
            except ValueError as error:
                raise PictureError(f"{name}: {error}") from error
        cells, timestep = self._cells(picture, timestep)
        colours = picture if self.crf else None
        masks = instances_from_grid(cells, (picture.shape[0], picture.shape[1]), colours)
        refined = refine_instances(masks, edges, propagation=self.propagation, iou=self.iou)
        return refined, timestep

    def _asks_pipe(self) -> bool:
        no_edges = self.edges is None and self.detector is None
        return no_edges or (self.source != "edges" and self.encoder is None)

    def _edges(self, picture: Picture, name: str) -> tuple[Edges, int | None]:
        """A smooth map, or lines that are to cut masks; and the step that they were read at."""
        if self.edges is None:
            timestep = None
            if self.detector is not None:
                seen = self.detector(picture, detect_resolution=self.settings.resolution)
            else:
                assert self.pipe is not None
                seen = self.pipe(picture, self.settings)
                timestep = int(seen.emergence.timestep[0])  # type: ignore[union-attr]
            drawn = seen.edges if self.source == "edges" else seen.thin
            return drawn[0], timestep
        try:
            if self.source == "edges":
                edges = self.edges.read(name)
            else:
                edges = self.edges.read_lines(name, self.propagation)
        except ValueError as error:
            raise PictureError(str(error)) from error
        if edges.shape != picture.shape[:2]:
            raise PictureError(
                f"{name}: its edges are {edges.shape} and the picture {picture.shape[:2]} "
                "(height, width): give those of the picture"
            )
        return edges, None

    def _cells(
        self, picture: Picture, timestep: int | None
    ) -> tuple[Bool[np.ndarray, "m gh gw"], int | None]:
        """Masks on a grid, and the step whose attention was read, if any was."""
        if self.encoder is not None:
            height, width, _ = picture.shape
            size = model_size(height, width, _ENCODER_RESOLUTION, self.encoder.cell)
            keys = self.encoder.keys(to_tensor(resize_image(picture, size))[None])
            features = keys[0].cpu().numpy()  # (h, w, c)
            affinity, grid = feature_affinity(features), features.shape[:2]
            if self.source == "maskcut":
                return maskcut(affinity, grid), timestep
            return promerge(affinity, grid, stride=_stride(grid)), timestep
        step = self._step(picture, timestep)
        affinity = attention_affinity(step.attention[0].cpu().numpy())
        if self.source == "maskcut":
            return maskcut(affinity, step.grid, threshold=0.6), step.timestep
        return promerge(
            centred_affinity(affinity), step.grid,
            stride=_stride(step.grid), threshold=0.05, max_background_likeness=0.4,
        ), step.timestep  # fmt: skip

    def _step(self, picture: Picture, timestep: int | None) -> Step:
        """The attention at t*, on the grid that t* is found on: a finer one is much larger."""
        assert self.pipe is not None
        resolution = self.pipe.describe(self.settings)["emergence_resolution"]
        coarse = replace(self.settings, resolution=resolution, subcell=1)
        if timestep is None:
            timestep = int(self.pipe(picture, coarse).emergence.timestep[0])  # type: ignore[union-attr]
        last: dict[str, Step] = {}
        self.pipe(picture, coarse, timestep=timestep, on_step=lambda step: last.update(step=step))
        return last["step"]


def _stride(grid: tuple[int, int]) -> int:
    return max(1, round(sqrt(grid[0] * grid[1]) / _SEEDS))
