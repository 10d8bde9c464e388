"""What the student learns: labels made of the teacher's divergence, nothing else (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32, Int8
from scipy.ndimage import distance_transform_edt

from trace_edges.surface import draw_edges, fit_surface, surface_height

Rule = Literal["ridge", "literal", "log"]

EDGE, INTERIOR, UNCERTAIN = 1, 0, -1


@dataclass(frozen=True)
class LabelSettings:
    """How divergence becomes labels; one rule for a whole set of photographs.

    Attributes:
        rule: "ridge", lines that keep their strength (ours), or the paper's ternary labels, of E
            ("literal") or of log E ("log").
        half_edge: e0 in nats of the strength E / (E + e0).
        weakest: crests whose log strength lies less than so many sigma above the photograph's mean
            are no lines. Of "ridge" only, as is `sigma`.
        sigma: px; how fast a line's strength falls beside it. Labels lie on a grid of 8 px and are
            wrong by as much: over many photographs the student finds the pixel that they scatter
            about.
    """

    rule: Rule = "ridge"
    half_edge: float = 1.0
    weakest: float = 0.3
    sigma: float = 2.0

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise ValueError(f"unknown labels {self.rule!r}; known: {', '.join(get_args(Rule))}")
        if not (self.half_edge > 0 and self.sigma > 0):
            raise ValueError("half_edge and sigma of labels must be positive")


@dataclass(frozen=True)
class Labels:
    """Of one photograph.

    Attributes:
        target: (H, W) in [0, 1], how strong an edge the student should see here.
        counts: (H, W) False where nothing is said, and no loss is taken.
    """

    target: Float32[np.ndarray, "h w"]
    counts: Bool[np.ndarray, "h w"]


def make_labels(
    divergence: Float32[np.ndarray, "gh gw"], size: tuple[int, int], settings: LabelSettings
) -> Labels:
    """Labels at the pixels (H, W) of what the student sees, from ABDiv (nats) on the grid."""
    if settings.rule == "ridge":
        target = ridge_target(
            *draw_edges(divergence, size, 1, settings.half_edge), settings.weakest, settings.sigma
        )
        return Labels(target, np.ones(size, dtype=bool))
    ternary = ternary_labels(divergence, size, logarithm=settings.rule == "log")
    return Labels((ternary == EDGE).astype(np.float32), ternary != UNCERTAIN)


def ridge_target(
    edges: Float32[np.ndarray, "h w"],
    crests: Bool[np.ndarray, "h w"],
    weakest: float,
    sigma: float,
) -> Float32[np.ndarray, "h w"]:
    """Every pixel takes the strength of the nearest line, less the farther it is: a Gaussian of
    `sigma` px. Strength is kept, so that the student can say which line is the stronger.
    """
    logarithm = np.log(edges + 1e-4)
    lines = crests & (logarithm > logarithm.mean() + weakest * logarithm.std())
    if not lines.any():
        return np.zeros_like(edges)
    distance, (rows, columns) = distance_transform_edt(~lines, return_indices=True)
    return (edges[rows, columns] * np.exp(-(distance**2) / (2 * sigma**2))).astype(np.float32)


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
