"""Results drawn over their image: edges as lines, segments in a colour each with its contour."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8
from PIL import Image
from scipy.ndimage import binary_erosion, maximum_filter

from trace_edges.results import InstanceMasks, PanopticMap

Colour = tuple[int, int, int]

LINE_COLOUR = (0, 255, 190)

_TURN = (5**0.5 - 1) / 2  # of the hue circle, from one colour to the next: the golden angle
_APART = 150  # Euclidean distance in RGB that tells two neighbours apart
_SPARE = 24  # colours to choose from beyond those that are needed
_REACH = 3  # px across which two segments are neighbours
_FILL = 0.45  # opacity of a segment; its contour is opaque


def overlay(
    image: UInt8[np.ndarray, "h w 3"],
    thin: Float[np.ndarray, "h w"],
    colour: Colour = LINE_COLOUR,
) -> Image.Image:
    """Thin edges in [0, 1] drawn over the darkened image: opaque from 0.6, not at all below 0.2.

    Lines are widened to about 1/400 of the shorter side, so that they show when a large image is
    viewed as a whole.
    """
    width = _line_width(image.shape[:2])
    lines = np.rint(np.clip((thin - 0.2) / 0.4, 0, 1) * 255).astype(np.uint8)
    mask = Image.fromarray(lines)
    if width > 1:
        mask = Image.fromarray(maximum_filter(lines, size=width))
    base = Image.fromarray(image).point(lambda value: round(0.6 * value))
    base.paste(Image.new("RGB", base.size, colour), mask=mask)
    return base


def instance_overlay(image: UInt8[np.ndarray, "h w 3"], instances: InstanceMasks) -> Image.Image:
    """The image with every instance tinted in a colour of its own and outlined in it.

    Where instances overlap, the smaller lies on top, but the contours of all are drawn.

    Raises:
        ValueError: image and masks differ in size.
    """
    _check_size(image, instances.shape)
    labels = instances.label_map
    colours = segment_colours(labels, range(1, len(instances) + 1))
    drawn = _tinted(image, labels, colours)
    for index in np.argsort(-instances.areas, kind="stable"):
        _outline(drawn, instances.masks[index], colours[int(index) + 1])
    return Image.fromarray(drawn)


def panoptic_overlay(image: UInt8[np.ndarray, "h w 3"], panoptic: PanopticMap) -> Image.Image:
    """The image with every segment tinted in a colour of its own and outlined in it.

    Things differ from their neighbours. Stuff has the duller colour of its class, the same in
    every image. Void is left as it is.

    Raises:
        ValueError: image and map differ in size.
    """
    _check_size(image, panoptic.ids.shape)
    stuff = {one.id: _stuff_colour(one.category) for one in panoptic.segments if not one.thing}
    things = (one.id for one in panoptic.segments if one.thing)
    colours = segment_colours(panoptic.ids, things, stuff)
    drawn = _tinted(image, panoptic.ids, colours)
    for segment in panoptic.segments:
        _outline(drawn, panoptic.ids == segment.id, colours[segment.id])
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
        gaps = [min((_distance(one, other) for other in near), default=_APART) for one in free]
        far = next((place for place, gap in enumerate(gaps) if gap >= _APART), None)
        colours[number] = free.pop(int(np.argmax(gaps)) if far is None else far)
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


def _distance(one: Colour, other: Colour) -> float:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5


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
    numbers, places = np.unique(labels, return_inverse=True)
    table = np.array([colours.get(number, (0, 0, 0)) for number in numbers.tolist()])  # (k, 3)
    tint = table[places.reshape(labels.shape)]
    mixed = np.rint((1 - _FILL) * image + _FILL * tint).astype(np.uint8)
    return np.where((labels != 0)[..., None], mixed, image)


def _outline(
    drawn: UInt8[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], colour: Colour
) -> None:
    """Draw the outermost pixels of a mask, but for those that only the image's border ends.

    Lines are as thick as those of `overlay`.
    """
    width = _line_width(mask.shape)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = tuple(slice(max(0, side[0] - 1), side[-1] + 2) for side in (rows, columns))
    inside = binary_erosion(mask[box], np.ones((3, 3)), iterations=width, border_value=1)
    drawn[box][mask[box] & ~inside] = colour


def _line_width(size: tuple[int, int]) -> int:
    return max(1, round(min(size) / 400))


def _check_size(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> None:
    if image.shape[:2] != size:
        raise ValueError(
            f"the image is {image.shape[:2]} and its segments {size} (height, width): give "
            "those of one image"
        )
