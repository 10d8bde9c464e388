"""Ablation of the labels: of one view of the teacher, of several, and of more than their mean.

    python -m benchmarks.edges.labels PHOTOGRAPHS IMAGES PANOPTIC_JSON --labels DIR \
        --sprites SPRITES --out OUT --limit 18 --steps 150

Every row trains the student that reads the image alone on its labels, and is scored as those of
`benchmarks.edges.pixels` are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import gaussian_gradient_magnitude
from scipy.sparse.linalg import eigsh

import trace_edges as te
from benchmarks._shared.reports import guarded
from benchmarks.edges.pixels import BASE, Row, read_arguments, read_examples, score_rows, trained
from trace_edges.distillation.labels import Labels, LabelSettings, make_labels
from trace_edges.distillation.teachers import (
    Averaging,
    Map,
    Pixels,
    StudentTeacher,
    Teacher,
    TrainingFreeTeacher,
    View,
    on_finest_grid,
)

EIGENVECTORS = 8  # beside the constant one
SMOOTHED = 0.7  # cells, before the gradient of an eigenvector is taken


class Combined:
    """A teacher whose labels are made of something else than the mean of its views.

    Args:
        views: all that are read of a photograph.
        combine: maps of one grid, in the order of the views, to the one that labels are made of.
    """

    def __init__(
        self, views: Sequence[View], combine: Callable[[Float32[np.ndarray, "v gh gw"]], Map]
    ) -> None:
        self.views, self._combine = views, combine

    def labels(self, maps: Sequence[Map], image: Pixels, settings: LabelSettings) -> Labels:
        """Make labels of the combined map."""
        return make_labels(self._combine(np.stack(on_finest_grid(maps))), image, settings)


class Both:
    """Two teachers, whose labels are averaged."""

    def __init__(self, first: Teacher, second: Teacher) -> None:
        self._teachers = first, second
        self.views: Sequence[View] = [*first.views, *second.views]

    def labels(self, maps: Sequence[Map], image: Pixels, settings: LabelSettings) -> Labels:
        """Make the mean of the labels of both."""
        first, second = self._teachers
        count = len(first.views)
        one = first.labels(maps[:count], image, settings)
        two = second.labels(maps[count:], image, settings)
        return Labels((one.target + two.target) / 2, one.counts & two.counts)


def agreement(maps: Float32[np.ndarray, "v gh gw"]) -> Map:
    """Geometric mean: an edge that one view does not see is none."""
    mean: Map = np.exp(np.log(maps.clip(1e-6)).mean(axis=0))
    return mean


def without_texture(maps: Float32[np.ndarray, "v gh gw"]) -> Map:
    """The first map (t*), weaker where the second (t = 0) is relatively stronger: what noise hides
    is taken for texture.
    """
    late, early = maps
    ratio = (late / late.mean()) / (early / early.mean()).clip(1e-6)
    weakened: Map = late * ratio.clip(max=1)
    return weakened


def globalised(maps: Float32[np.ndarray, "v gh gw"]) -> Map:
    """The first map, and the second at the same mean, averaged: as gPb adds sPb."""
    local, spectral = maps
    mean: Map = (local + spectral * (local.mean() / spectral.mean())) / 2
    return mean


def spectral_view(pipe: te.TraceEdgePipeline, view: View) -> View:
    """Gradients of the first eigenvectors of the attention as a graph, by 1 / sqrt(eigenvalue)."""
    settings = replace(BASE.teacher, resolution=view.description["resolution"])

    def read(image: Pixels) -> Map:
        (reading,) = pipe.read([pipe.prepare(image, settings)], settings, attention=True)
        step = reading.step
        assert step is not None
        weights = step.attention[0].numpy()
        weights = (weights + weights.T) / 2
        scale = weights.sum(axis=1) ** -0.5
        values, vectors = eigsh(weights * scale[:, None] * scale, k=EIGENVECTORS + 1, which="LA")
        total = np.zeros(step.grid, np.float32)
        for value, vector in zip(values[:-1], vectors.T[:-1], strict=True):  # the last is constant
            drawn = (vector * scale).reshape(step.grid)
            steepness = gaussian_gradient_magnitude(drawn / drawn.std(), SMOOTHED, mode="nearest")
            total += steepness / max(1 - value, 1e-3) ** 0.5
        return total

    return View(view.description | {"spectral": EIGENVECTORS}, read)


def _averaged(averaging: Averaging) -> Callable[[te.TraceEdgePipeline], Teacher]:
    return lambda pipe: TrainingFreeTeacher(pipe, BASE.teacher, averaging)


def _views(pipe: te.TraceEdgePipeline, averaging: Averaging) -> Sequence[View]:
    return TrainingFreeTeacher(pipe, BASE.teacher, averaging).views


def _globalised(pipe: te.TraceEdgePipeline) -> Teacher:
    (view,) = _views(pipe, Averaging())
    return Combined([view, spectral_view(pipe, view)], globalised)


def _both(pipe: te.TraceEdgePipeline) -> Teacher:
    student = te.EdgeDetector.from_pretrained("trace-mini")
    return Both(TrainingFreeTeacher(pipe, BASE.teacher), StudentTeacher(student))


SCALES = (384, 512, 704)

ROWS: dict[str, Callable[[te.TraceEdgePipeline], Teacher]] = {
    "one view, as the detector of the package": _averaged(Averaging()),
    "three draws of the noise": _averaged(Averaging(seeds=(0, 1, 2))),
    "three steps: t = 99, 199, 299": _averaged(Averaging(timesteps=(99, 199, 299))),
    "mirrored too": _averaged(Averaging(mirror=True)),
    "384, 512 and 704 px": _averaged(Averaging(resolutions=SCALES)),
    "384, 512 and 704 px have to agree": lambda pipe: Combined(
        _views(pipe, Averaging(resolutions=SCALES)), agreement
    ),
    "weaker where t = 0 sees more than t*": lambda pipe: Combined(
        _views(pipe, Averaging(timesteps=(99, 0))), without_texture
    ),
    "globalised: with eigenvectors of the attention": _globalised,
    "averaged with the student of trace-mini": _both,
}


def main() -> None:
    """Train and score the rows that are missing; write the table."""
    options = read_arguments(__doc__, ROWS)
    pipe = te.TraceEdgePipeline.from_pretrained()
    score_rows(
        ROWS,
        lambda name: trained(name, Row(), read_examples(ROWS[name](pipe), options), options),
        options,
    )


if __name__ == "__main__":
    guarded(main)
