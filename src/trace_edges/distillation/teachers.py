"""Who says where the edges of unlabelled photographs are (section 3.4): the training-free way, or a
student of an earlier round. Both look, what they saw is kept, and labels are made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from trace_edges.detector.detector import DetectorSettings, EdgeDetector
from trace_edges.detector.drawing import draw_probabilities
from trace_edges.distillation.labels import Labels, LabelSettings, make_labels, ridge_labels
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.ridges import fit_surface, surface_height
from trace_edges.training_free.settings import TraceSettings

Picture = UInt8[np.ndarray, "_ _ 3"]
Map = Float32[np.ndarray, "gh gw"]

# A student answers with expected strengths, which are low where labels scatter about a border:
# p / (p + this) brings them back to the range of what it was taught.
_HALF_EXPECTED = 0.25


@dataclass(frozen=True)
class Averaging:
    """Looks of a teacher that are averaged, against what is chance in one of them.

    Attributes:
        resolutions: sqrt(H * W) in px of what it sees, instead of its own.
        timesteps: read instead of its own; of the training-free way only, as are `seeds`.
        seeds: of the noise.
        mirror: look at the mirrored photograph as well.
    """

    resolutions: tuple[int, ...] = ()
    timesteps: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    mirror: bool = False


@dataclass(frozen=True)
class Look:
    """One way of looking at a photograph.

    Attributes:
        made_with: all that decides what is seen, plain JSON values.
        see: a picture to the map.
    """

    made_with: dict[str, Any]
    see: Callable[[Picture], Map]

    def mirrored(self) -> Look:
        """The same at the mirrored photograph, mirrored back."""

        def see(picture: Picture) -> Map:
            return self.see(np.ascontiguousarray(picture[:, ::-1]))[:, ::-1]

        return Look(self.made_with | {"mirrored": True}, see)


class Teacher(Protocol):
    """What labels are made from."""

    looks: Sequence[Look]

    def labels(
        self, seen: Sequence[Map], image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
    ) -> Labels:
        """Labels at the pixels of `image`, from what the looks have seen."""


class TrainingFreeTeacher:
    """Attention Boundary Divergence, read without training.

    Args:
        pipe: the pipeline.
        settings: how it looks.
        averaging: more looks than one.
    """

    def __init__(
        self, pipe: TraceEdgePipeline, settings: TraceSettings, averaging: Averaging | None = None
    ) -> None:
        self._pipe, self._weights = pipe, pipe.backbone.fingerprint()
        several = averaging or Averaging()
        single = [
            self._look(replace(settings, resolution=resolution, timestep=timestep, seed=seed))
            for resolution in several.resolutions or (settings.resolution,)
            for timestep in several.timesteps or (settings.timestep,)
            for seed in several.seeds or (settings.seed,)
        ]
        self.looks = _with_mirrored(single, several)

    def _look(self, settings: TraceSettings) -> Look:
        made_with = self._pipe.describe(settings) | {"backbone": self._weights}
        return Look(made_with, lambda picture: self._pipe.values(picture, settings))

    def labels(
        self, seen: Sequence[Map], image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
    ) -> Labels:
        """Labels of the mean divergence (nats)."""
        return make_labels(_mean_on_finest(seen), image, settings)


class StudentTeacher:
    """A student of an earlier round, which has seen more photographs than one and their pixels.

    Args:
        detector: the student.
        averaging: more looks than one.

    Raises:
        ValueError: it is asked for timesteps or seeds, of which it has none.
    """

    def __init__(self, detector: EdgeDetector, averaging: Averaging | None = None) -> None:
        several = averaging or Averaging()
        if several.timesteps or several.seeds:
            raise ValueError("a student sees no noise: leave timesteps and seeds out")
        self._detector, self._weights = detector, detector.fingerprint()
        sizes = several.resolutions or (detector.resolution,)
        self.looks = _with_mirrored([self._look(resolution) for resolution in sizes], several)

    def _look(self, resolution: int) -> Look:
        made_with = {"detector": self._weights, "resolution": resolution}
        settings = DetectorSettings(resolution)
        return Look(made_with, lambda picture: self._detector.values(picture, settings))

    def labels(
        self, seen: Sequence[Map], image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
    ) -> Labels:
        """Labels of the mean probability."""
        return student_labels(seen, image, settings)


def student_labels(
    seen: Sequence[Map], image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
) -> Labels:
    """Labels of the mean of what a student answered, each in [0, 1]."""
    probability = _mean_on_finest(seen)
    if settings.rule != "ridge":
        return make_labels(probability, image, settings)
    edges, ridges = draw_probabilities(probability, (image.shape[0], image.shape[1]))
    return ridge_labels(edges / (edges + _HALF_EXPECTED), ridges, image, settings)


def _with_mirrored(looks: list[Look], averaging: Averaging) -> list[Look]:
    return looks + [look.mirrored() for look in looks] if averaging.mirror else looks


def _mean_on_finest(seen: Sequence[Map]) -> Map:
    """Mean of maps of several grids, on the finest of them."""
    size = max((one.shape for one in seen), key=lambda shape: shape[0] * shape[1])
    brought = [
        one if one.shape == size else surface_height(fit_surface(one, size), size).clip(0)
        for one in seen
    ]
    return np.asarray(np.mean(brought, axis=0, dtype=np.float32))
