"""From a scene to its image, and to the owner of every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int32, UInt8
from scipy import ndimage
from skimage import color

from recipes.trace_mini.composites.sprites import Sprite

Colour = tuple[float, float, float]

_MARGIN = 2  # transparent px around a sprite, so that its outermost row is anti-aliased too
_SHADOW_DARKNESS = 0.45
_SHADOW_BLUR = 0.05  # of the object's size, as the offset below
_SHADOW_OFFSET = (0.07, 0.03)  # down, right: the light comes from above, a little from the left
_OPAQUE = 0.5  # alpha from which on a pixel belongs to an object


@dataclass(frozen=True)
class Placed:
    """One object of a scene: the name of a sprite, and where and how it is pasted.

    Attributes:
        x, y: centre, px.
        size: side of the sprite's square, px.
        angle: degrees, counter-clockwise.
        hue: added to the hue, in turns.
    """

    name: str
    x: float
    y: float
    size: float
    angle: float = 0.0
    hue: float = 0.0


@dataclass(frozen=True)
class Scene:
    """A image: its size in px, three colours of its ground, its objects from back to front."""

    height: int
    width: int
    colours: tuple[Colour, Colour, Colour]
    objects: tuple[Placed, ...]


def render(
    scene: Scene, sprites: Mapping[str, Sprite], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "h w 3"], Int32[np.ndarray, "h w"], list[float]]:
    """Paste the objects over the ground, each with a soft shadow on what is behind.

    Args:
        scene: what is pasted where.
        sprites: by name.
        rng: draws the ground.

    Returns:
        The image; the number of the object that each pixel shows, counted from 1, 0 for the
        ground; and of each object the share of its pixels that can be seen.
    """
    canvas = _ground(scene, rng)
    owner = np.zeros((scene.height, scene.width), dtype=np.int32)
    sizes = []
    for number, placed in enumerate(scene.objects, start=1):
        rgb, alpha = _on_canvas(sprites[placed.name], placed, scene)
        offset = [part * placed.size for part in _SHADOW_OFFSET]
        blurred = ndimage.gaussian_filter(alpha[..., 0], _SHADOW_BLUR * placed.size)
        shadow = ndimage.shift(blurred, offset, order=1)[..., None]
        canvas = canvas * (1.0 - _SHADOW_DARKNESS * shadow) * (1.0 - alpha) + rgb
        opaque = alpha[..., 0] >= _OPAQUE
        owner[opaque] = number
        sizes.append(int(opaque.sum()))
    image = (canvas * 255.0).round().clip(0, 255).astype(np.uint8)
    shown = np.bincount(owner.ravel(), minlength=len(sizes) + 1)[1:]
    return image, owner, [float(a / max(1, b)) for a, b in zip(shown, sizes, strict=True)]


def _ground(scene: Scene, rng: np.random.Generator) -> Float64[np.ndarray, "h w 3"]:
    """The scene's three colours, blended by blurred noise; RGB in [0, 1]."""
    noise = rng.standard_normal((3, scene.height, scene.width))
    smooth = np.stack([ndimage.gaussian_filter(n, scene.height / 5, mode="reflect") for n in noise])
    weights = np.exp(smooth / smooth.std())
    weights /= weights.sum(axis=0)
    return np.einsum("khw,kc->hwc", weights, np.array(scene.colours))


def _turn_hue(rgb: Float[np.ndarray, "h w 3"], turns: float) -> Float[np.ndarray, "h w 3"]:
    """RGB in [0, 1]; greys stay what they are."""
    hsv = color.rgb2hsv(rgb)
    hsv[..., 0] = (hsv[..., 0] + turns) % 1.0
    return color.hsv2rgb(hsv)


def _on_canvas(
    sprite: Sprite, placed: Placed, scene: Scene
) -> tuple[Float64[np.ndarray, "h w 3"], Float64[np.ndarray, "h w 1"]]:
    """Turn, scale and move a sprite in one resampling; premultiplied RGB, and alpha."""
    straight = np.pad(sprite, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))) / 255.0
    alpha = straight[..., 3:]
    # Premultiplied, because the colour under a transparent pixel means nothing and would bleed in.
    layers = np.concatenate([_turn_hue(straight[..., :3], placed.hue) * alpha, alpha], axis=-1)
    turn = np.deg2rad(placed.angle)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    to_sprite = rotation * (sprite.shape[0] / placed.size)
    centre = (np.array(straight.shape[:2]) - 1) / 2
    offset = centre - to_sprite @ np.array([placed.y, placed.x])
    shape = (scene.height, scene.width)
    resampled = np.stack(
        [ndimage.affine_transform(layers[..., c], to_sprite, offset, shape) for c in range(4)], -1
    )
    alpha_out = resampled[..., 3:].clip(0.0, 1.0)  # cubic splines overshoot
    return resampled[..., :3].clip(0.0, alpha_out), alpha_out
