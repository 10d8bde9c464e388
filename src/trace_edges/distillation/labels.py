"""Labels of the student: made of the teacher's divergence and nothing else (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval
from jaxtyping import Bool, Float32, Int8, UInt8
from scipy.ndimage import distance_transform_edt, gaussian_gradient_magnitude

from trace_edges.checks import STRICT, check_fields
from trace_edges.metrics.lines import suppress_non_maxima
from trace_edges.training_free.ridges import draw_edges, fit_surface, surface_height

Rule = Literal["ridge", "literal", "log"]

# Of the search for contours: px of blur of the gradient, px after which a contour counts less, and
# the share of the image's steepest that is none. Taken as they came; only `snap` was measured.
_CONTOUR, _NEAR, _FAINT = 1.0, 3.0, 0.02

EDGE, INTERIOR, UNCERTAIN = 1, 0, -1


@dataclass(frozen=True)
class LabelSettings:
    """Settings of labels; one rule for a whole set of photographs.

    Attributes:
        rule: "ridge", lines that keep their strength (ours), or the paper's ternary labels, of E
            ("literal") or of log E ("log").
        half_edge: e0 in nats of the strength E / (E + e0). None: of every map its own.
        weakest: ridges whose log strength lies less than so many sigma above the photograph's mean
            are no lines. Of "ridge" only, as is `sigma`.
        sigma: px; how fast a line's strength falls beside it.
        snap: px; a line's pixels move to the clearest contour of the image so near. The grid's
            cells are 8 px wide, and lines drawn from it run beside the borders they mean. 0: they
            stay. Of "ridge" only.
    """

    __pydantic_config__ = STRICT

    rule: Rule = "ridge"
    half_edge: Annotated[float, Interval(gt=0, le=1000)] | None = 1.0
    weakest: Annotated[float, Interval(ge=-1000, le=1000)] = 0.3
    sigma: Annotated[float, Interval(gt=0, le=1000)] = 1.5
    snap: Annotated[int, Interval(ge=0, le=64)] = 4

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Labels:
    """Labels of one photograph.

    Attributes:
        target: (H, W) in [0, 1], how strong an edge the student should see here.
        counts: (H, W) False where nothing is said, and no loss is taken.
    """

    target: Float32[np.ndarray, "h w"]
    counts: Bool[np.ndarray, "h w"]


def make_labels(
    divergence: Float32[np.ndarray, "gh gw"],
    image: UInt8[np.ndarray, "h w 3"],
    settings: LabelSettings,
) -> Labels:
    """Make labels at the pixels of what the student sees, from ABDiv (nats) on the grid."""
    size = (image.shape[0], image.shape[1])
    if settings.rule == "ridge":
        edges, ridges = draw_edges(divergence, size, 1, settings.half_edge)
        return ridge_labels(edges, ridges, image, settings)
    ternary = ternary_labels(divergence, size, logarithm=settings.rule == "log")
    return Labels((ternary == EDGE).astype(np.float32), ternary != UNCERTAIN)


def ridge_labels(
    edges: Float32[np.ndarray, "h w"],
    ridges: Bool[np.ndarray, "h w"],
    image: UInt8[np.ndarray, "h w 3"],
    settings: LabelSettings,
) -> Labels:
    """Lines with their strength, moved onto the image's contours; every pixel counts."""
    lines = strong_lines(edges, ridges, settings.weakest)
    if settings.snap:
        lines = snap_to_contours(lines, image, settings.snap)
    return Labels(ridge_target(lines, settings.sigma), np.ones(lines.shape, dtype=bool))


def strong_lines(
    edges: Float32[np.ndarray, "h w"], ridges: Bool[np.ndarray, "h w"], weakest: float
) -> Float32[np.ndarray, "h w"]:
    """Strength in [0, 1] on the ridges whose log lies `weakest` sigma above the mean, else 0."""
    logarithm = np.log(edges + 1e-4)
    lines = ridges & (logarithm > logarithm.mean() + weakest * logarithm.std())
    return np.where(lines, edges, np.float32(0))


def snap_to_contours(
    lines: Float32[np.ndarray, "h w"], image: UInt8[np.ndarray, "h w 3"], reach: int
) -> Float32[np.ndarray, "h w"]:
    """Every pixel of a line moves, with its strength, to the clearest contour within `reach` px.

    Clear is a steep ridge of the image's gradient that is not far: its height falls with the
    distance as a Gaussian. Where there is hardly any, the pixel stays.
    """
    colours = np.moveaxis(image.astype(np.float64), -1, 0)
    steepness = np.sqrt(sum(gaussian_gradient_magnitude(c, _CONTOUR) ** 2 for c in colours))
    contours = suppress_non_maxima(steepness)
    contours = np.pad(contours / max(contours.max(), 1e-6), reach)
    height, width = lines.shape
    rows, columns = np.nonzero(lines)
    best, to_rows, to_columns = np.full(len(rows), _FAINT), rows.copy(), columns.copy()
    for down, right in product(range(-reach, reach + 1), repeat=2):
        near = np.exp(-(down**2 + right**2) / (2 * _NEAR**2))
        clear = contours[rows + down + reach, columns + right + reach] * near
        better = clear > best
        best[better] = clear[better]
        to_rows[better], to_columns[better] = (rows + down)[better], (columns + right)[better]
    moved = np.zeros_like(lines)
    inside = to_rows.clip(0, height - 1), to_columns.clip(0, width - 1)
    np.maximum.at(moved, inside, lines[rows, columns])
    return moved


def ridge_target(lines: Float32[np.ndarray, "h w"], sigma: float) -> Float32[np.ndarray, "h w"]:
    """Every pixel takes the strength of the nearest line, less the farther it is: a Gaussian of
    `sigma` px. Strength is kept, so that the student can say which line is the stronger.
    """
    if not lines.any():
        return lines
    distance, (rows, columns) = distance_transform_edt(lines == 0, return_indices=True)
    target = lines[rows, columns] * np.exp(-(distance**2) / (2 * sigma**2))
    return np.asarray(target, np.float32)


def ternary_labels(
    divergence: Float32[np.ndarray, "gh gw"], size: tuple[int, int], logarithm: bool
) -> Int8[np.ndarray, "h w"]:
    """The paper's: EDGE above mu + sigma, INTERIOR below mu - sigma, the rest UNCERTAIN.

    mu and sigma are of E on the grid, or of log E; E comes to the pixels by a cubic spline.
    """
    values = np.log(divergence + 1e-6) if logarithm else divergence
    mean, spread = values.mean(), values.std()
    drawn = surface_height(fit_surface(values, size), size)
    labels = np.full(size, UNCERTAIN, dtype=np.int8)
    labels[drawn > mean + spread] = EDGE
    labels[drawn < mean - spread] = INTERIOR
    return labels
