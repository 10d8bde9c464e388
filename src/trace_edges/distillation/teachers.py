"""Teachers of unlabelled photographs (section 3.4): the training-free method, or a student of an
earlier round. Both give a map for each view of a photograph, and labels are made of the maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol

import numpy as np
from annotated_types import Interval, Len
from jaxtyping import Float32, UInt8

from trace_edges.checks import STRICT, Seed, Side, check_fields
from trace_edges.detector.detector import EdgeDetector
from trace_edges.detector.drawing import draw_probabilities
from trace_edges.detector.settings import DetectorSettings
from trace_edges.distillation.labels import Labels, LabelSettings, make_labels, ridge_labels
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.ridges import fit_surface, surface_height
from trace_edges.training_free.settings import TraceSettings

Pixels = UInt8[np.ndarray, "_ _ 3"]
Map = Float32[np.ndarray, "gh gw"]

# A student answers with expected strengths, which are low where labels scatter about a border:
# p / (p + this) brings them back to the range of what it was taught.
_HALF_EXPECTED = 0.25


@dataclass(frozen=True)
class Averaging:
    """Views of a teacher that are averaged, against what is chance in one of them.

    Attributes:
        resolutions: sqrt(H * W) in px of what it sees, instead of its own.
        timesteps: read instead of its own; of the training-free method only, as are `seeds`.
        seeds: of the noise.
        mirror: read the mirrored photograph as well.
    """

    __pydantic_config__ = STRICT

    resolutions: Annotated[tuple[Side, ...], Len(0, 100)] = ()
    timesteps: Annotated[tuple[Annotated[int, Interval(ge=0, le=100_000)], ...], Len(0, 100)] = ()
    seeds: Annotated[tuple[Seed, ...], Len(0, 100)] = ()
    mirror: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class View:
    """One view of a photograph: at one resolution, at one timestep, mirrored or not.

    Attributes:
        description: all that decides the map, plain JSON values.
        read: an image to its map.
    """

    description: dict[str, Any]
    read: Callable[[Pixels], Map]

    def mirrored(self) -> View:
        """Give the same view of the mirrored photograph, mirrored back."""

        def read(image: Pixels) -> Map:
            return self.read(np.ascontiguousarray(image[:, ::-1]))[:, ::-1]

        return View(self.description | {"mirrored": True}, read)


class Teacher(Protocol):
    """Source of the maps that labels are made from."""

    views: Sequence[View]

    def labels(
        self, maps: Sequence[Map], image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
    ) -> Labels:
        """Make labels at the pixels of `image` from the maps of all views."""


class TrainingFreeTeacher:
    """Attention Boundary Divergence, read without training.

    Args:
        pipe: the pipeline.
        settings: of the one view, or of those that are averaged.
        averaging: more views than one.
    """

    def __init__(
        self, pipe: TraceEdgePipeline, settings: TraceSettings, averaging: Averaging | None = None
    ) -> None:
        self._pipe, self._weights = pipe, pipe.backbone.fingerprint()
        several = averaging or Averaging()
        single = [
            self._view(replace(settings, resolution=resolution, timestep=timestep, seed=seed))
            for resolution in several.resolutions or (settings.resolution,)
            for timestep in several.timesteps or (settings.timestep,)
            for seed in several.seeds or (settings.seed,)
        ]
        self.views: Sequence[View] = _with_mirrored(single, several)

    def _view(self, settings: TraceSettings) -> View:
        description = self._pipe.describe(settings) | {"backbone": self._weights}
        return View(description, lambda image: self._pipe.values(image, settings))

    def labels(
        self, maps: Sequence[Map], image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
    ) -> Labels:
        """Make labels of the mean divergence (nats)."""
        return make_labels(_mean(maps), image, settings)


class StudentTeacher:
    """A student of an earlier round, which has learnt from many photographs and their pixels.

    Args:
        detector: the student.
        averaging: more views than one.

    Raises:
        ValueError: it is asked for timesteps or seeds, of which it has none.
    """

    def __init__(self, detector: EdgeDetector, averaging: Averaging | None = None) -> None:
        several = averaging or Averaging()
        if several.timesteps or several.seeds:
            raise ValueError("a student sees no noise: leave timesteps and seeds out")
        self._detector, self._weights = detector, detector.fingerprint()
        sizes = several.resolutions or (detector.resolution,)
        self.views: Sequence[View] = _with_mirrored(
            [self._view(resolution) for resolution in sizes], several
        )

    def _view(self, resolution: int) -> View:
        description = {"detector": self._weights, "resolution": resolution}
        settings = DetectorSettings(resolution)
        return View(description, lambda image: self._detector.values(image, settings))

    def labels(
        self, maps: Sequence[Map], image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
    ) -> Labels:
        """Make labels of the mean probability."""
        return student_labels(maps, image, settings)


def make_teacher(
    source: TraceEdgePipeline | EdgeDetector, settings: TraceSettings, averaging: Averaging
) -> Teacher:
    """Make a teacher of a pipeline, or of a detector, which `settings` do not concern.

    Raises:
        ValueError: a detector is asked for timesteps or seeds, of which it has none.
    """
    if isinstance(source, EdgeDetector):
        return StudentTeacher(source, averaging)
    return TrainingFreeTeacher(source, settings, averaging)


def student_labels(
    maps: Sequence[Map], image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
) -> Labels:
    """Make labels of the mean of a student's probabilities, each in [0, 1]."""
    probability = _mean(maps)
    if settings.rule != "ridge":
        return make_labels(probability, image, settings)
    edges, ridges = draw_probabilities(probability, (image.shape[0], image.shape[1]))
    return ridge_labels(edges / (edges + _HALF_EXPECTED), ridges, image, settings)


def _with_mirrored(views: list[View], averaging: Averaging) -> list[View]:
    return views + [view.mirrored() for view in views] if averaging.mirror else views


def on_finest_grid(maps: Sequence[Map]) -> list[Map]:
    """Bring maps of several grids onto the finest of them."""
    size = max((one.shape for one in maps), key=lambda shape: shape[0] * shape[1])
    return [
        one if one.shape == size else surface_height(fit_surface(one, size), size).clip(0)
        for one in maps
    ]


def _mean(maps: Sequence[Map]) -> Map:
    return np.asarray(np.mean(on_finest_grid(maps), axis=0, dtype=np.float32))
