"""Edges as lines, masks and segments in a colour each with its contour, over their image."""

from __future__ import annotations

import colorsys
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, UInt8
from PIL import Image
from scipy.ndimage import binary_erosion, find_objects

from trace_edges.drawing.visualize import grey_image

Colour = tuple[int, int, int]
Box = tuple[slice, slice]

_STRONG = 0.25  # edges below this strength are never drawn as strong ones
_RAMP = ((90, 20, 120), (220, 50, 90), (255, 150, 30), (255, 240, 120))  # from weak to strong
_DIM = 0.45  # brightness of the image below the lines
_WIDTH = 1.8  # px of a line where it is drawn
_SIDE = 480  # px of the shorter side where lines are drawn

_TURN = (5**0.5 - 1) / 2  # of the hue circle, from one colour to the next: the golden angle
_APART = 150  # Euclidean distance in RGB that tells two neighbours apart
_SPARE = 24  # free colours that a segment chooses from
_REACH = 3  # px across which two segments are neighbours
_FILL = 0.45  # opacity of a segment; its contour is opaque
_ROWS = 256  # tinted at once


def shown_strength(
    values: Float[np.ndarray, "h w"], thin: Float[np.ndarray, "h w"] | None = None
) -> Float32[np.ndarray, "h w"]:
    """Strength of edges stretched to [0, 1] for the eye.

    Methods differ in how strong their edges are, and the weak ones of one may be the best of
    another. So 1 is what only 2 % of the ridge pixels of this image exceed, but at least 0.25, so
    that an image without edges stays empty; 0 is a fifth of that and less.

    Args:
        values: thin edges, or the smooth map.
        thin: the thin edges, where `values` are not.
    """
    thin = values if thin is None else thin
    ridges = thin[thin > 0]
    strong = max(_STRONG, float(np.percentile(ridges, 98)) if ridges.size else 0)
    weak = strong / 5
    return np.clip((values - weak) / (strong - weak), 0, 1, dtype=np.float32)


def edge_image(thin: Float[np.ndarray, "h w"]) -> Image.Image:
    """Thin edges in [0, 1] as lines, white on black (8 bits), stretched by `shown_strength`."""
    return grey_image(lines(shown_strength(thin)))


def overlay(image: UInt8[np.ndarray, "h w 3"], thin: Float[np.ndarray, "h w"]) -> Image.Image:
    """Thin edges in [0, 1] as lines over the dimmed image: purple where they are weak, over red and
    orange to yellow where they are strong, stretched by `shown_strength`.

    Lines are as wide as about 1/270 of the shorter side, so that they show when a large image is
    viewed as a whole.

    Raises:
        ValueError: image and edges differ in size.
    """
    _check_size(image, thin.shape, "edges")
    drawn = lines(shown_strength(thin))
    stops = np.linspace(0, 1, len(_RAMP))
    channels = np.moveaxis(np.array(_RAMP, dtype=np.float32), 1, 0)  # (3, stops)
    colour = np.stack([np.interp(drawn, stops, channel) for channel in channels], axis=-1)
    grey = image.mean(axis=-1, keepdims=True)
    dimmed = _DIM * (0.6 * image + 0.4 * grey)
    opacity = np.clip(2 * drawn, 0, 1)[..., None]
    return Image.fromarray(np.rint(dimmed + opacity * (colour - dimmed)).astype(np.uint8))


def lines(
    strength: Float32[np.ndarray, "h w"], thickness: float = _WIDTH
) -> Float32[np.ndarray, "h w"]:
    """Ridges of one pixel as antialiased lines, `thickness` px wide where they are drawn.

    They are drawn where the shorter side has some hundred pixels, and enlarged: of a large image
    each block of pixels counts as its strongest.
    """
    height, width = strength.shape
    block = max(1, round(min(height, width) / _SIDE))
    padded = np.pad(strength, ((0, -height % block), (0, -width % block)))
    rows, columns = (side // block for side in padded.shape)
    small = padded.reshape(rows, block, columns, block).max(axis=(1, 3))
    reach = math.ceil(thickness / 2 + 0.5)
    padded, drawn = np.pad(small, reach), np.zeros_like(small)
    for down, right in itertools.product(range(-reach, reach + 1), repeat=2):
        covered = thickness / 2 + 0.5 - math.hypot(down, right)  # of a pixel at this distance
        if covered > 0:
            shifted = padded[reach + down :, reach + right :][: small.shape[0], : small.shape[1]]
            drawn = np.maximum(drawn, min(1, covered) * shifted)
    if block == 1:
        return drawn
    enlarged = Image.fromarray(drawn).resize(
        (drawn.shape[1] * block, drawn.shape[0] * block), Image.Resampling.BILINEAR
    )
    return np.asarray(enlarged)[:height, :width]


def mask_overlay(
    image: UInt8[np.ndarray, "h w 3"],
    windows: Sequence[Box],
    masks: Sequence[Bool[np.ndarray, "a b"]],
    labels: Int32[np.ndarray, "h w"],
) -> Image.Image:
    """The image with every mask tinted in a colour of its own and outlined in it.

    Where masks overlap, the smaller lies on top, but the contours of all are drawn.

    Args:
        windows: rows and columns of each mask's box.
        masks: each within its box.
        labels: 0 where no mask is, else 1 + the index of the smallest.

    Raises:
        ValueError: image and masks differ in size.
    """
    _check_size(image, labels.shape, "masks")
    colours = segment_colours(labels, range(1, len(masks) + 1))
    drawn = _tinted(image, labels, colours)
    areas = np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)
    for index in np.argsort(-areas, kind="stable").tolist():
        box = _wider(windows[index])
        padding = [
            (inner.start - outer.start, min(outer.stop, side) - inner.stop)
            for inner, outer, side in zip(windows[index], box, labels.shape, strict=True)
        ]
        _outline(drawn, np.pad(masks[index], padding), box, colours[index + 1])
    return Image.fromarray(drawn)


def segment_overlay(
    image: UInt8[np.ndarray, "h w 3"],
    ids: Int32[np.ndarray, "h w"],
    things: Iterable[int],
    stuff: Mapping[int, int],
) -> Image.Image:
    """The image with every segment tinted in a colour of its own and outlined in it.

    Things differ from their neighbours. Stuff has the duller colour of its class, the same in
    every image. Where no segment is, the image is left as it is.

    Args:
        ids: number of the segment of each pixel, 0 for none.
        things: numbers of the segments that are things.
        stuff: class of every other segment by its number.

    Raises:
        ValueError: image and map differ in size.
    """
    _check_size(image, ids.shape, "segments")
    given = {number: _stuff_colour(category) for number, category in stuff.items()}
    colours = segment_colours(ids, things, given)
    drawn = _tinted(image, ids, colours)
    numbers, places = np.unique(ids, return_inverse=True)
    boxes = find_objects(places.reshape(ids.shape) + 1)  # of numbers that may be far apart
    for number, found in zip(numbers.tolist(), boxes, strict=True):
        if number in colours:
            box = _wider(found)
            _outline(drawn, ids[box] == number, box, colours[number])
    return Image.fromarray(drawn)


def segment_colours(
    labels: Int32[np.ndarray, "h w"],
    numbers: Iterable[int],
    given: Mapping[int, Colour] | None = None,
) -> dict[int, Colour]:
    """A bright colour of its own for every number of a label map.

    Each number in turn takes the first colour of one fixed sequence that is free and far enough
    from those of its neighbours; so the n-th segment of any image mostly has the n-th colour.

    Args:
        labels: (H, W) where the segments lie.
        numbers: that need a colour, in the order in which they choose.
        given: colours that other numbers have already.

    Returns:
        RGB of all numbers, the given included.
    """
    colours = dict(given or {})
    wanted = [number for number in numbers if number not in colours]
    free = [_bright_colour(place) for place in range(len(wanted) + _SPARE)]
    neighbours = _neighbours(labels)
    for number in wanted:
        near = [colours[other] for other in neighbours.get(number, ()) if other in colours]
        gaps: list[float] = []
        for one in free[:_SPARE]:  # mostly the first will do
            gaps.append(min((math.dist(one, other) for other in near), default=_APART))
            if gaps[-1] >= _APART:
                break
        colours[number] = free.pop(int(np.argmax(gaps)))
    return colours


def _bright_colour(place: int) -> Colour:
    """Hues by the golden angle; saturation and brightness change more slowly, so none recurs."""
    saturation = (0.95, 0.6, 0.8)[place // 12 % 3]
    value = (1.0, 0.8, 0.9, 0.65)[place // 36 % 4]
    return _rgb(colorsys.hsv_to_rgb(place * _TURN % 1, saturation, value))


def _stuff_colour(category: int) -> Colour:
    return _rgb(colorsys.hsv_to_rgb(category * _TURN % 1, 0.35, 0.55 + 0.1 * (category % 3)))


def _rgb(shares: tuple[float, float, float]) -> Colour:
    red, green, blue = (round(255 * share) for share in shares)
    return red, green, blue


def _neighbours(labels: Int32[np.ndarray, "h w"]) -> dict[int, set[int]]:
    """Which numbers lie within reach of each other, straight or diagonally; 0 is none."""
    found: dict[int, set[int]] = {}
    for one, other in _shifted(labels):
        differ = (one != other) & (one != 0) & (other != 0)
        pairs = one[differ].astype(np.int64) << 32 | other[differ]
        for pair in np.unique(pairs).tolist():
            a, b = pair >> 32, pair & 0xFFFFFFFF
            found.setdefault(a, set()).add(b)
            found.setdefault(b, set()).add(a)
    return found


def _shifted(
    labels: Int32[np.ndarray, "h w"],
) -> Iterator[tuple[Int32[np.ndarray, "a b"], Int32[np.ndarray, "a b"]]]:
    for step in range(1, _REACH + 1):
        yield labels[:, :-step], labels[:, step:]
        yield labels[:-step], labels[step:]
        yield labels[:-step, :-step], labels[step:, step:]
        yield labels[:-step, step:], labels[step:, :-step]


def _tinted(
    image: UInt8[np.ndarray, "h w 3"],
    labels: Int32[np.ndarray, "h w"],
    colours: Mapping[int, Colour],
) -> UInt8[np.ndarray, "h w 3"]:
    drawn = image.copy()
    for top in range(0, len(labels), _ROWS):  # floats of a whole large image take gigabytes
        part, below = labels[top : top + _ROWS], drawn[top : top + _ROWS]
        numbers, places = np.unique(part, return_inverse=True)
        table = np.array([colours.get(number, (0, 0, 0)) for number in numbers.tolist()])  # (k, 3)
        mixed = (1 - _FILL) * below + _FILL * table[places.reshape(part.shape)]
        below[part != 0] = np.rint(mixed).astype(np.uint8)[part != 0]
    return drawn


def _outline(
    drawn: UInt8[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "a b"], box: Box, colour: Colour
) -> None:
    """Draw the outermost pixels of a mask that lies in a box of the image, but for those that only
    the image's border ends.
    """
    height, width = drawn.shape[:2]
    thickness = max(1, round(min(height, width) / 400))
    inside = binary_erosion(mask, np.ones((3, 3)), iterations=thickness, border_value=1)
    drawn[box][mask & ~inside] = colour


def _wider(box: Box) -> Box:
    """A pixel more on every side: only the border of the image ends a mask without a contour."""
    rows, columns = (slice(max(0, side.start - 1), side.stop + 1) for side in box)
    return rows, columns


def _check_size(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, ...], what: str) -> None:
    if image.shape[:2] != size:
        raise ValueError(
            f"the image is {image.shape[:2]} and its {what} {size} (height, width): give "
            "those of one image"
        )
