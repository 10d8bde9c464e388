"""From divergence on the attention grid to edges at the pixels of the input.

ABDiv lives on a grid of 8 or 16 px cells. A cubic spline through its samples is a smooth surface
whose height and derivatives are known at every pixel, so an edge can be placed between cells: it
runs along the crest of the surface. Crests are found as Steger does ("An unbiased detector of
curvilinear structures", PAMI 1998): across the direction of largest curvature, the surface peaks
within half a pixel. This is non-maximum suppression without a neighbourhood to interpolate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.interpolate import RectBivariateSpline

# Rows of the output computed at once: bounds the memory on panoramas of 100 megapixels.
_STRIP_PIXELS = 4_000_000

Spline = Callable[..., np.ndarray]


def sample_positions(samples: int, refine: int) -> Float[np.ndarray, " samples"]:
    """Where the samples of one axis lie in the image, as fractions of its length.

    With `refine` = 1 sample i is the middle of cell i. With k shifted views interleaved the
    samples are 1/k of a cell apart, and the image is (k - 1)/k of a cell longer than one view.
    """
    cells = samples / refine
    length = cells + (refine - 1) / refine  # of the image, in cells
    return (0.5 + np.arange(samples) / refine) / length


def fit_surface(
    values: Float[np.ndarray, "gh gw"], size: tuple[int, int], refine: int = 1
) -> Spline:
    """Cubic spline through the samples, with coordinates in pixels of an image of `size` (H, W).

    Beyond the outermost samples the surface is level. Axes of fewer than four samples get a
    spline of lower degree.
    """
    axes = [
        sample_positions(n, refine) * length for n, length in zip(values.shape, size, strict=True)
    ]
    degrees = [min(3, n - 1) for n in values.shape]
    return RectBivariateSpline(*axes, values.astype(np.float64), kx=degrees[0], ky=degrees[1], s=0)


def strips(size: tuple[int, int]) -> list[np.ndarray]:
    """The rows of an image in strips of bounded size, as pixel centres (row + 0.5)."""
    rows = np.arange(size[0]) + 0.5
    return np.array_split(rows, max(1, -(-size[0] * size[1] // _STRIP_PIXELS)))


def surface_height(spline: Spline, size: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    """The surface at the centre of every pixel."""
    columns = np.arange(size[1]) + 0.5
    return np.concatenate([spline(rows, columns).astype(np.float32) for rows in strips(size)])


def surface_crests(spline: Spline, size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Pixels through which a crest of the surface runs: lines of one or two pixels."""
    columns = np.arange(size[1]) + 0.5
    return np.concatenate([_crests(spline, rows, columns) for rows in strips(size)])


def _crests(
    spline: Spline, rows: Float[np.ndarray, " h"], columns: Float[np.ndarray, " w"]
) -> Bool[np.ndarray, "h w"]:
    def derivative(along_rows: int, along_columns: int) -> np.ndarray:
        return spline(rows, columns, dx=along_rows, dy=along_columns)

    gy, gx = derivative(1, 0), derivative(0, 1)
    gyy, gxy, gxx = derivative(2, 0), derivative(1, 1), derivative(0, 2)
    # The eigenvector of the Hessian's smaller eigenvalue is the direction of largest downward
    # curvature: across the crest.
    mean, half = (gyy + gxx) / 2, (gyy - gxx) / 2
    spread = np.hypot(half, gxy)
    curvature = mean - spread
    angle = np.arctan2(-gxy, -half) / 2
    ny, nx = np.cos(angle), np.sin(angle)
    # Distance in pixels to the peak of the parabola across the crest.
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = -(gy * ny + gx * nx) / curvature
        near = np.maximum(np.abs(offset * ny), np.abs(offset * nx)) <= 0.5
    return near & (curvature < 0)
