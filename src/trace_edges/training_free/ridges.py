"""From divergence on the attention grid to edges at the pixels of the input.

ABDiv lives on a grid of 8 or 16 px cells. A cubic spline through its samples is a smooth surface
whose height and derivatives are known at every pixel, so an edge can be placed between cells: it
runs along the ridge of the surface. Ridges are found as Steger does ("An unbiased detector of
curvilinear structures", PAMI 1998): across the direction of largest curvature, the surface peaks
within half a pixel. This is non-maximum suppression without a neighbourhood to interpolate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import gaussian_filter

# Rows of the output computed at once: bounds the memory on panoramas of 100 megapixels.
_STRIP_PIXELS = 4_000_000

# Shifted views do not agree on how strong an edge is, and interleaved the disagreement is a ripple
# from sample to sample, with ridges of its own. In cells; chosen on photographs (docs/quality.md).
_VIEW_BLUR = 0.35

_SHARE = 0.57
_LEAST = 1e-4  # nats: rows that are equal but for rounding have no edge between them

Spline = Callable[..., np.ndarray]


@dataclass(frozen=True)
class DivergenceDrawing:
    """Draws ABDiv as edges E / (E + half_edge); see `draw_edges`."""

    subcell: int
    half_edge: float | None

    def __call__(
        self, values: Float32[np.ndarray, "gh gw"], size: tuple[int, int]
    ) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
        return draw_edges(values, size, self.subcell, self.half_edge)


def draw_edges(
    raw: Float[np.ndarray, "gh gw"], size: tuple[int, int], subcell: int, half_edge: float | None
) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Edges in [0, 1] and their ridges at the pixels of the input, from divergence on the grid.

    Args:
        raw: ABDiv in nats, >= 0.
        size: (H, W) of the input.
        subcell: how many samples a cell has along a side.
        half_edge: e0 in nats of the rule E / (E + e0). With a number the rule is the same for every
            image. None: `own_half_edge` of the map.
    """
    strength = raw / (raw + (own_half_edge(raw) if half_edge is None else half_edge))
    if subcell > 1:
        strength = gaussian_filter(strength, _VIEW_BLUR * subcell, mode="nearest")
    surface = fit_surface(strength, size, subcell)
    # A cubic spline overshoots a little beside steep edges.
    return surface_height(surface, size).clip(0, 1), surface_ridges(surface, size)


def own_half_edge(raw: Float[np.ndarray, "gh gw"]) -> float:
    """e0 in nats of a map itself: a share of its mean, so that strengths do not depend on how sharp
    the attention of a backbone is. A cell of mean divergence has a strength of 0.64.

    Of trace-mini, whose constant was chosen, this gives the same for the median of photographs, and
    as good edges (`python -m benchmarks.edges.half_edge`).
    """
    return max(_SHARE * float(raw.mean()), _LEAST)


def sample_positions(samples: int, subcell: int) -> Float[np.ndarray, " samples"]:
    """Where the samples of one axis lie in the image, as fractions of its length.

    With `subcell` = 1 sample i is the middle of cell i. With k shifted views interleaved the
    samples are 1/k of a cell apart, and the image is (k - 1)/k of a cell longer than one view.
    """
    cells = samples / subcell
    length = cells + (subcell - 1) / subcell  # of the image, in cells
    return (0.5 + np.arange(samples) / subcell) / length


def fit_surface(
    values: Float[np.ndarray, "gh gw"], size: tuple[int, int], subcell: int = 1
) -> Spline:
    """Cubic spline through the samples, with coordinates in pixels of an image of `size` (H, W).

    Beyond the outermost samples the surface is level. Along an axis of fewer than four samples it
    is the polynomial of lower degree through them.
    """
    axes = [
        sample_positions(n, subcell) * length for n, length in zip(values.shape, size, strict=True)
    ]
    values = values.astype(np.float64)
    if min(values.shape) < 4:  # only a cubic has the derivatives that ridges need: sample it anew
        kx, ky = (min(3, n - 1) for n in values.shape)
        lower = RectBivariateSpline(*axes, values, kx=kx, ky=ky, s=0)
        axes = [np.linspace(axis[0], axis[-1], max(4, len(axis))) for axis in axes]
        values = lower(*axes)
    return RectBivariateSpline(*axes, values, s=0)


def strips(size: tuple[int, int]) -> list[np.ndarray]:
    """The rows of an image in strips of bounded size, as pixel centres (row + 0.5)."""
    rows = np.arange(size[0]) + 0.5
    return np.array_split(rows, max(1, -(-size[0] * size[1] // _STRIP_PIXELS)))


def surface_height(spline: Spline, size: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    """The surface at the centre of every pixel."""
    columns = np.arange(size[1]) + 0.5
    return np.concatenate([spline(rows, columns).astype(np.float32) for rows in strips(size)])


def surface_ridges(spline: Spline, size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Pixels through which a ridge of the surface runs: lines of one or two pixels."""
    columns = np.arange(size[1]) + 0.5
    return np.concatenate([_ridges(spline, rows, columns) for rows in strips(size)])


def _ridges(
    spline: Spline, rows: Float[np.ndarray, " h"], columns: Float[np.ndarray, " w"]
) -> Bool[np.ndarray, "h w"]:
    def derivative(along_rows: int, along_columns: int) -> np.ndarray:
        return spline(rows, columns, dx=along_rows, dy=along_columns)

    gy, gx = derivative(1, 0), derivative(0, 1)
    gyy, gxy, gxx = derivative(2, 0), derivative(1, 1), derivative(0, 2)
    # The eigenvector of the Hessian's smaller eigenvalue is the direction of largest downward
    # curvature: across the ridge.
    mean, half = (gyy + gxx) / 2, (gyy - gxx) / 2
    spread = np.hypot(half, gxy)
    curvature = mean - spread
    angle = np.arctan2(-gxy, -half) / 2
    ny, nx = np.cos(angle), np.sin(angle)
    # Distance in pixels to the peak of the parabola across the ridge.
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = -(gy * ny + gx * nx) / curvature
        near = np.maximum(np.abs(offset * ny), np.abs(offset * nx)) <= 0.5
    # Where the mean curvature is upward the larger one is along a valley, not across a ridge.
    return near & (mean < 0)
