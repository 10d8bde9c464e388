"""Polygons of masks along the borders of pixels, and masks of polygons as other tools fill them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from PIL import Image, ImageDraw
from scipy.spatial import Delaunay
from skimage.draw import polygon_perimeter
from skimage.measure import find_contours

from trace_edges.formats.rle import decode_crop, mask_runs
from trace_edges.results.labels import Crop, Window

Size = tuple[int, int]
Points = Float[np.ndarray, "k 2"]
_FARTHEST = 1_000_000  # px: further out no vertex is
_MOST = 1_000_000  # vertices of a polygon
_LONGEST = 50_000_000  # px, of the outline of one


def border_polygons(
    crop: Bool[np.ndarray, "a b"], window: Window, size: Size
) -> list[list[int]] | None:
    """A mask as COCO's and CVAT's polygons [x, y, x, y, ...] along the borders of its pixels, one
    for each part; None where they are not exactly the mask: with holes, or parts at a corner.

    Errors: an ImportError where pycocotools is not installed.
    """
    contours = find_contours(np.pad(crop, 1).astype(np.float32), 0.5, fully_connected="low")
    corner = np.array([window[1].start, window[0].start])
    polygons = [(_corners(contour) + corner).ravel().tolist() for contour in contours]
    try:
        found, filled = decode_crop(mask_runs(polygons, size), size)
    except (ValueError, IndexError):  # nothing is filled
        return None
    return polygons if found == window and np.array_equal(filled, crop) else None


def _corners(contour: Float[np.ndarray, "k 2"]) -> Int64[np.ndarray, "n 2"]:
    """The corners (column, row) of pixels where a contour turns, of which every point is the middle
    of a side of a pixel of a mask that was padded by one.
    """
    here, after = contour[:-1], np.roll(contour[:-1], -1, axis=0)
    # The corner that two sides share has the half coordinate of either, or lies between them.
    half = here % 1 != 0
    shared = np.where(half, here, np.where(after % 1 != 0, after, (here + after) / 2))
    points = np.rint(shared[:, ::-1] - 0.5).astype(np.int64)
    before, beyond = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    return points[((points - before) != (beyond - points)).any(axis=1)]


def checked_points(values: Any) -> Points:
    """The vertices (x, y) of a polygon from a list of numbers, flat or in pairs.

    Raises:
        ValueError: they are fewer than three, no finite numbers, or too many or too far out.
    """
    try:
        points = np.array(values, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("is no list of points x, y") from error
    if not 3 <= len(points) <= _MOST:
        raise ValueError(f"has {len(points)} points, and a polygon has 3 or more")
    if not np.isfinite(points).all() or np.abs(points).max() > _FARTHEST:
        raise ValueError("has a point that is no finite number or far out of the image")
    return points


def filled_between(points: Points, size: Size) -> tuple[Bool[np.ndarray, "a b"], tuple[int, int]]:
    """What polygons of continuous coordinates enclose, as COCO fills them, and its (top, left).

    Raises:
        ValueError: it has no pixel in the image.
        ImportError: pycocotools is not installed.
    """
    runs = mask_runs([points.ravel().tolist()], size)
    if not runs[1::2].any():
        raise ValueError("has no pixel in the image")
    window, crop = decode_crop(runs, size)
    return crop, (window[0].start, window[1].start)


def filled_as_drawn(points: Points, size: Size) -> tuple[Crop, tuple[int, int]]:
    """What Pillow fills of a polygon, its outline too, as labelme does; and its (top, left)."""
    low = np.floor(points.min(axis=0)).astype(int)
    width, height = _extent(points, size)
    image = Image.new("1", (width, height), 0)
    xy = [(x, y) for x, y in (points - low).tolist()]
    ImageDraw.Draw(image).polygon(xy, outline=1, fill=1)
    return np.asarray(image), (int(low[1]), int(low[0]))


def filled_path(path: Int64[np.ndarray, "k 2"], size: Size) -> tuple[Crop, tuple[int, int]]:
    """What a closed path over pixels (column, row) encloses by the even-odd rule, its own pixels
    included, as readers of YOLO fill it; and its (top, left).
    """
    low = path.min(axis=0)
    width, height = _extent(path, size)
    moved = path - low
    crop = _even_odd(moved, (height, width))
    crop[polygon_perimeter(moved[:, 1], moved[:, 0], crop.shape)] = True
    return crop, (int(low[1]), int(low[0]))


def _even_odd(path: Int64[np.ndarray, "k 2"], size: Size) -> Bool[np.ndarray, "h w"]:
    """Where a ray from the left crosses a closed path an odd number of times."""
    ends = np.stack([path, np.roll(path, -1, axis=0)], axis=1)  # (k, 2, 2)
    ends = ends[ends[:, 0, 1] != ends[:, 1, 1]]
    up = ends[:, 0, 1] > ends[:, 1, 1]
    ends[up] = ends[up, ::-1]
    (left, top), (right, bottom) = ends[:, 0].T, ends[:, 1].T
    heights = bottom - top
    if heights.sum() > _LONGEST:
        raise ValueError(f"has an outline of more than {_LONGEST:,} px")
    of = np.repeat(np.arange(len(ends)), heights)
    down = np.arange(len(of)) - np.repeat(np.cumsum(heights) - heights, heights)
    across = left[of] + down * (right - left)[of] / heights[of]
    turns = np.zeros((size[0], size[1] + 1), dtype=np.int32)
    np.add.at(turns, (top[of] + down, np.floor(across).astype(np.int64) + 1), 1)
    return np.cumsum(turns, axis=1)[:, : size[1]] % 2 == 1


def _extent(points: np.ndarray, size: Size) -> tuple[int, int]:
    """Width and height of the box of points, which is not much larger than the image.

    Raises:
        ValueError: it is.
    """
    width, height = (
        math.ceil(high) - math.floor(low) + 1
        for low, high in zip(points.min(axis=0), points.max(axis=0), strict=True)
    )
    if width > 2 * size[1] + 2 or height > 2 * size[0] + 2:
        raise ValueError("lies far out of the image")
    return width, height


def polygon(mask: Bool[np.ndarray, "h w"]) -> Int64[np.ndarray, "k 2"]:
    """One closed path (column, row) over the pixels of a mask that lie at its borders, k >= 3.

    Filled by the even-odd rule, its own pixels included, it is the mask, but for bridges between
    parts.
    """
    rings = _rings(mask)
    points = np.concatenate(rings)
    path = points[list(_joined(rings, points))]
    steps = np.diff(path, axis=0, append=path[:1])
    turns = (steps != np.roll(steps, 1, axis=0)).any(axis=1)
    path = path[turns] if turns.any() else path
    return np.pad(path, ((0, max(0, 3 - len(path))), (0, 0)), mode="edge")


def _rings(mask: Bool[np.ndarray, "h w"]) -> list[Int64[np.ndarray, "k 2"]]:
    """The pixels along every border, outer and inner, in the order they are walked."""
    # At 3/4 of the way into the mask, a contour rounds to the pixels inside it.
    contours = find_contours(np.pad(mask, 1).astype(np.float32), 0.75, fully_connected="high")
    rings = []
    for contour in contours:
        ring = np.rint(contour[:, ::-1]).astype(np.int64) - 1  # (k, 2) column, row
        moved = (ring != np.roll(ring, 1, axis=0)).any(axis=1)
        rings.append(ring[moved] if moved.any() else ring[:1])
    return rings


def _joined(rings: list[Int64[np.ndarray, "k 2"]], points: Int64[np.ndarray, "n 2"]) -> list[int]:
    """All points in the order of one closed path: each ring hangs on another, by bridges that are
    as short together as they can be.

    Args:
        rings: in the order of `points`, which are theirs.
        points: (n, 2).
    """
    lengths = [len(ring) for ring in rings]
    owner = np.repeat(np.arange(len(rings)), lengths)
    starts = np.cumsum([0, *lengths])
    largest = int(np.argmax(lengths))
    hung: dict[int, list[int]] = defaultdict(list)  # by the point they hang on: points of rings
    beside = _bridges(points, owner) if len(rings) > 1 else {}
    waiting, seen = [largest], {largest}
    for ring in waiting:
        for anchor, point in beside.get(ring, []):
            other = int(owner[point])
            if other not in seen:
                hung[anchor].append(point)
                waiting.append(other)
                seen.add(other)
    return list(_walk(int(starts[largest]), owner, starts, hung))


def _bridges(
    points: Int64[np.ndarray, "n 2"], owner: Int64[np.ndarray, " n"]
) -> dict[int, list[tuple[int, int]]]:
    """The bridges of a spanning tree over all rings, by ring: its own point, and the other's."""
    one, other = _near(points).T
    apart = owner[one] != owner[other]
    one, other = one[apart], other[apart]
    order = np.argsort(np.square(points[one] - points[other]).sum(axis=1), kind="stable")
    root = list(range(int(owner[-1]) + 1))
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for a, b in zip(one[order].tolist(), other[order].tolist(), strict=True):
        rings = tops = int(owner[a]), int(owner[b])
        while (above := (root[tops[0]], root[tops[1]])) != tops:
            root[tops[0]], root[tops[1]] = root[above[0]], root[above[1]]  # shorter next time
            tops = above
        if tops[0] != tops[1]:
            root[tops[0]] = tops[1]
            found[rings[0]].append((a, b))
            found[rings[1]].append((b, a))
    return found


def _near(points: Int64[np.ndarray, "n 2"]) -> Int64[np.ndarray, "p 2"]:
    """Pairs of points among which are the shortest bridges between any two sets of them: those of
    a Delaunay triangulation, of points on a line those that follow each other.
    """
    order = np.lexsort(points.T)
    ends = [np.stack([order[:-1], order[1:]], axis=1)]  # points at one place follow each other too
    away = points[order] - points[order[0]]
    if (away[:, 0] * away[-1, 1] != away[:, 1] * away[-1, 0]).any():  # not all on one line
        corners = Delaunay(points).simplices
        ends += [corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]
    return np.concatenate(ends)


def _walk(
    first: int,
    owner: Int64[np.ndarray, " n"],
    starts: Int64[np.ndarray, " r1"],
    hung: Mapping[int, list[int]],
) -> Iterator[int]:
    """Round a ring from one of its points; at each point, round the rings that hang on it."""

    def circle(point: int) -> list[int]:
        start, end = (int(starts[owner[point] + more]) for more in (0, 1))
        return [*range(point, end), *range(start, point)]

    path: list[tuple[int, bool]] = [(point, True) for point in reversed(circle(first))]
    while path:
        point, arriving = path.pop()
        yield point
        for other in hung.get(point, []) if arriving else []:
            # Back to where the bridge left, once the other ring has been closed.
            path += [(point, False), (other, False)]
            path += [(inner, True) for inner in reversed(circle(other))]
