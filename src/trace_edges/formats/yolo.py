"""Instance masks as YOLO segmentation labels: a text file per image, a polygon per line."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64
from scipy.spatial import Delaunay
from skimage.measure import find_contours

from trace_edges.files import write_text
from trace_edges.formats.listing import OneOrMany, bare, by_name, check_name
from trace_edges.results import InstanceMasks

CONFIG, LABELS = "data.yaml", "labels"

# A vertex is pixel i as (i + 0.499) / side: some readers cut the product with the side to an
# integer and others round it, and both then find i. Ultralytics puts points between the vertices
# before it cuts. So a vertex is almost at the centre of its pixel: halfway along a diagonal both
# coordinates then go on to the next pixel at once, and no pixel beside the path is found.
_WITHIN = 0.499
_DIGITS = 7  # after the point: up to 10,000 px, in float32 too, errors are less than 0.001 px


def export_yolo(
    masks: OneOrMany[InstanceMasks], folder: str | PathLike[str], *, category: str = "object"
) -> None:
    """Write FOLDER/labels/NAME.txt for every image name and FOLDER/data.yaml; photographs go into
    FOLDER/images.

    YOLO has one closed polygon per instance. Its vertices are the outermost pixels of the mask.
    Parts and holes are joined to one path by straight bridges that are walked there and back, so
    an instance stays one line and holes stay open for a reader that fills by the even-odd rule.
    What is lost: a bridge between two parts is read as a line one pixel wide; scores; and whatever
    a reader that thins out vertices drops. An image without instances has an empty file.

    Args:
        masks: one result, several, or a mapping by image name, without a suffix, of which one is
            taken after the other; the images of a list are called 000001, 000002, ...
        folder: of the data set.
        category: name of the one class, whose number is 0.

    Raises:
        OSError: a file cannot be written.
        ValueError: a name leads out of the folder of results.
    """
    masks = by_name(masks)
    for name in sorted(masks):
        check_name(name)
        found = masks[name]
        corners = found.boxes[:, None, :2]  # (n, 1, 2)
        lines = [
            label_line(polygon(crop) + corner, found.shape)
            for crop, corner in zip(found.crops, corners, strict=True)
        ]
        write_labels(lines, Path(folder), name)
    write_config([category], Path(folder))


def write_labels(lines: Sequence[str], folder: Path, name: str) -> None:
    """The file of labels of an image, a line for each instance."""
    text = "".join(f"{line}\n" for line in lines)
    write_text(text, folder / LABELS / f"{bare(name)}.txt")


def write_config(names: Sequence[str], folder: Path) -> None:
    """The data.yaml of a data set, with the names of its classes."""
    listed = json.dumps(names)  # JSON is YAML
    write_text(f"train: images\nval: images\nnames: {listed}\n", folder / CONFIG)


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


def label_line(path: Int64[np.ndarray, "k 2"], size: tuple[int, int], number: int = 0) -> str:
    """The line of a label file: the number of the class, and the path (column, row)."""
    relative = (path + _WITHIN) / size[::-1]
    return " ".join([str(number), *(f"{value:.{_DIGITS}f}" for value in relative.ravel())])
