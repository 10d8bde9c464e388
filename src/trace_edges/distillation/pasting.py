"""Objects and pieces of other photographs, pasted onto a crop: borders known to the pixel.

A second teacher, beside the labels: the outline of what is pasted is an edge wherever it lies, and
the texture inside is none. So a student sees the same grass on both sides of a border, and objects
whose drawing is no border. What is pasted may have a twin: the border between two of a kind shows
least of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image
from scipy import ndimage
from skimage.transform import SimilarityTransform, warp

from trace_edges.distillation.labels import Labels
from trace_edges.distillation.sprites import Sprite
from trace_edges.distillation.varying import change_light

Pixels = UInt8[np.ndarray, "_ _ 3"]

# Sizes in shares of sqrt(H * W); all magnitudes between the two are equally likely.
_PASTED = (1, 4)  # fewest and most
_SPRITE = (0.15, 0.55)  # side
_RADIUS = (0.1, 0.35)  # of a piece
_TURN = 40  # degrees to either side
_ASIDE = (0.6, 1.0)  # distance of twins, in diameters of a disk of their area
_OTHER_TURN, _OTHER_SIZE, _OTHER_LIGHT = 25, (0.9, 1.1), (0.92, 1.08)  # of the twin
_LEAST = 60  # px of what is seen; anything smaller is left out
_BLUR = (0.5, 1.2)  # px of a piece's outline, as lenses have it
_SHADOW = 0.4  # share of what is pasted that casts one; and how dark it is at most
_LINE = 0.5  # px: an outline's two rows of pixels, one on each side, are equally strong
_CLEARED = 4.0  # px beside an outline in which no older label is left


@dataclass(frozen=True)
class Thing:
    """Something to paste, on a canvas of the size of the crop.

    Attributes:
        colours: times alpha, in [0, 255].
        alpha: in [0, 1].
        labels: of what is inside.
    """

    colours: Float32[np.ndarray, "h w 3"]
    alpha: Float32[np.ndarray, "h w"]
    labels: Labels


def paste(
    image: Pixels,
    labels: Labels,
    draw_other: Callable[[], tuple[Pixels, Labels]],
    sprites: Sequence[Sprite],
    sigma: float,
    rng: np.random.Generator,
    twins: float = 0.0,
) -> tuple[Pixels, Labels]:
    """Paste objects, and pieces of other photographs, onto a crop.

    Args:
        image: the crop.
        labels: of it.
        draw_other: gives another crop of its size with its labels, of which a piece is taken.
        sprites: half of what is pasted, if there are any.
        sigma: px; how fast the strength of an outline falls beside it.
        rng: decides all the rest.
        twins: share of what is pasted that is pasted once more, right beside itself.

    Returns:
        The new image and its labels; outlines have strength 1.
    """
    canvas, target, counts = image.astype(np.float32), labels.target, labels.counts
    for thing in _things(target.shape, draw_other, sprites, rng, twins):
        shown = thing.alpha >= 0.5
        if shown.sum() < _LEAST:
            continue
        if rng.random() < _SHADOW:
            dark = 1 - _SHADOW * rng.random() * _shadow(thing.alpha, rng)
            canvas *= dark[..., None]
        canvas = canvas * (1 - thing.alpha[..., None]) + thing.colours
        outline = shown ^ ndimage.binary_erosion(shown, border_value=1)
        outline |= shown ^ ndimage.binary_dilation(shown)
        distance = ndimage.distance_transform_edt(~outline)
        line = np.exp(-(np.maximum(distance - _LINE, 0) ** 2) / (2 * sigma**2))
        target = np.where(shown, thing.labels.target, target)
        target = np.maximum(np.where(distance < _CLEARED, 0, target), line).astype(np.float32)
        counts = np.where(shown, thing.labels.counts, counts) | (distance < _CLEARED)
    return canvas.round().clip(0, 255).astype(np.uint8), Labels(target, counts)


def _things(
    size: tuple[int, int],
    draw_other: Callable[[], tuple[Pixels, Labels]],
    sprites: Sequence[Sprite],
    rng: np.random.Generator,
    twins: float,
) -> Iterator[Thing]:
    """From back to front."""
    side = (size[0] * size[1]) ** 0.5
    for _ in range(rng.integers(_PASTED[0], _PASTED[1] + 1)):
        if sprites and rng.random() < 0.5:
            sprite = sprites[int(rng.integers(len(sprites)))]
            colours, alpha = _sprite(sprite, size, side * _share(_SPRITE, rng), rng)
            labels = Labels(np.zeros(size, np.float32), np.ones(size, bool))
        else:
            other, labels = draw_other()
            lump = draw_lump(size, side * _share(_RADIUS, rng), rng).astype(np.float32)
            alpha = ndimage.gaussian_filter(lump, rng.uniform(*_BLUR))
            colours = change_light(other, rng).astype(np.float32)
        thing = Thing(colours * alpha[..., None], alpha, labels)
        yield thing
        if twins and alpha.sum() >= _LEAST and rng.random() < twins:
            yield draw_twin(thing, rng)


def draw_twin(thing: Thing, rng: np.random.Generator) -> Thing:
    """The same thing right beside itself: a little turned, larger or smaller, lighter or darker."""
    row, column = ndimage.center_of_mass(thing.alpha)
    diameter = 2 * (thing.alpha.sum() / np.pi) ** 0.5
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*_ASIDE) * diameter
    aside = distance * np.cos(angle), distance * np.sin(angle)
    to_twin = (
        SimilarityTransform(translation=(-column, -row))
        + SimilarityTransform(
            scale=rng.uniform(*_OTHER_SIZE),
            rotation=np.deg2rad(rng.uniform(-_OTHER_TURN, _OTHER_TURN)),
        )
        + SimilarityTransform(translation=(column + aside[0], row + aside[1]))
    )
    layers = [thing.colours, thing.alpha, thing.labels.target, thing.labels.counts]
    moved = warp(np.dstack(layers).astype(np.float32), to_twin.inverse, order=1)
    colours = moved[..., :3] * np.float32(rng.uniform(*_OTHER_LIGHT))
    return Thing(colours, moved[..., 3], Labels(moved[..., 4], moved[..., 5] > 0.5))


def draw_lump(
    size: tuple[int, int], radius: float, rng: np.random.Generator
) -> Bool[np.ndarray, "h w"]:
    """An ellipse somewhere, whose outline is bent by blurred noise."""
    height, width = size
    stretch, bend = rng.uniform(0.6, 1.6), rng.uniform(0, 0.35)
    noise = ndimage.gaussian_filter(
        rng.standard_normal(size, np.float32), radius * rng.uniform(0.2, 0.6)
    )
    rows, columns = np.ogrid[:height, :width]
    down, right = rows - rng.uniform(0, height), columns - rng.uniform(0, width)
    distance = np.hypot(down * stretch, right / stretch) / radius
    lump: Bool[np.ndarray, "h w"] = distance + bend * noise / noise.std() < 1
    return lump


def _sprite(
    sprite: Sprite, size: tuple[int, int], side: float, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "h w 3"], Float32[np.ndarray, "h w"]]:
    """Colours and alpha in [0, 1] of a sprite somewhere, turned, and mirrored half of the time."""
    drawn = Image.fromarray(sprite[:, ::-1] if rng.random() < 0.5 else sprite)
    drawn = drawn.resize((round(side), round(side)), Image.Resampling.BILINEAR)
    drawn = drawn.rotate(rng.uniform(-_TURN, _TURN), Image.Resampling.BILINEAR, expand=True)
    whole = Image.new("RGBA", size[::-1])
    # At least a third of it lies within, along either side.
    left, top = (
        int(rng.integers(-part // 3, max(1 - part // 3, room - 2 * part // 3)))
        for part, room in zip(drawn.size, whole.size, strict=True)
    )
    whole.paste(drawn, (left, top))
    pixels = np.asarray(whole, np.float32)
    return pixels[..., :3], pixels[..., 3] / 255


def _shadow(
    alpha: Float32[np.ndarray, "h w"], rng: np.random.Generator
) -> Float32[np.ndarray, "h w"]:
    """In [0, 1], soft, and a little aside."""
    soft = ndimage.gaussian_filter(alpha, rng.uniform(2, 8))
    return np.roll(soft, rng.integers(-6, 9, 2), axis=(0, 1))


def _share(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))
