"""Make the five pictures of `examples/`: three photographs and two composites.

    python scripts/make_examples.py sprites.npz sprites_heldout.npy --output examples

The photographs are the ones bundled with scikit-image, so nothing is downloaded.

The composites are made of sprites of Microsoft Fluent Emoji, 3D style (MIT licence, Copyright (c)
Microsoft Corporation), taken from the npm package `@lobehub/fluent-emoji-3d` 1.1.0. `sprites.npz`
holds them as `x` (n, 96, 96, 4) uint8 RGBA with their code points `n` (n,); `sprites_heldout.npy`
lists the rows that were kept out of the training of trace-mini, and only those are used here, so
that no object of the composites was seen in training. `examples/CREDITS.md` gives every licence.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, UInt8
from PIL import Image
from scipy import ndimage
from skimage import color, data

JPEG_QUALITY = 95
MARGIN = 2  # transparent pixels around a sprite, so that its outermost row is anti-aliased too
SHADOW_DARKNESS = 0.45
SHADOW_BLUR = 0.05  # of the object's size, as the offset below
SHADOW_OFFSET = (0.07, 0.03)  # down, right: the light comes from above, a little from the left

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Placed:
    """One object of a scene: a sprite's code point and where and how it is pasted."""

    code: str
    x: float  # centre, pixels
    y: float
    size: float  # side of the sprite's square, pixels
    angle: float = 0.0  # degrees, counter-clockwise
    hue: float = 0.0  # added to the hue, in turns


@dataclass(frozen=True)
class Scene:
    """A picture: its size, the colours of its background and its objects from back to front."""

    height: int
    width: int
    colours: tuple[Colour, Colour, Colour]
    objects: tuple[Placed, ...]


DOLL, OLIVE, GRAPES, CHESTNUT, CAKE = "1fa86", "1fad2", "1f347", "1f330", "1f370"
PRETZEL, SANDWICH, BREAD, TEA, BUTTER = "1f968", "1f96a", "1f956", "1f9cb", "1f9c8"

TWINS = Scene(
    height=512,
    width=512,
    colours=((0.78, 0.89, 0.86), (0.95, 0.92, 0.81), (0.66, 0.82, 0.86)),
    objects=(
        Placed(DOLL, x=170, y=184, size=286, angle=5, hue=-0.03),
        Placed(DOLL, x=344, y=188, size=280, angle=-6, hue=0.02),
        Placed(DOLL, x=104, y=336, size=244, angle=7),
        Placed(DOLL, x=412, y=338, size=240, angle=-8, hue=-0.02),
        Placed(DOLL, x=256, y=342, size=272, angle=-1),
    ),
)

CROWD = Scene(
    height=448,
    width=640,
    colours=((0.95, 0.90, 0.84), (0.90, 0.84, 0.86), (0.84, 0.90, 0.93)),
    objects=(
        Placed(TEA, x=104, y=112, size=172, angle=5),
        Placed(TEA, x=196, y=118, size=168, angle=-6, hue=0.45),
        Placed(GRAPES, x=306, y=104, size=158, angle=-6),
        Placed(GRAPES, x=388, y=118, size=152, angle=14),
        Placed(BREAD, x=500, y=104, size=170, angle=6),
        Placed(BREAD, x=548, y=148, size=170, angle=-2),
        Placed(CAKE, x=104, y=248, size=166, angle=4),
        Placed(CAKE, x=206, y=258, size=160, angle=-4, hue=-0.09),
        Placed(PRETZEL, x=324, y=222, size=166, angle=10),
        Placed(PRETZEL, x=424, y=240, size=160, angle=-14),
        Placed(SANDWICH, x=540, y=264, size=168, angle=2),
        Placed(CHESTNUT, x=86, y=356, size=134, angle=8),
        Placed(CHESTNUT, x=174, y=366, size=136, angle=-9),
        Placed(OLIVE, x=282, y=346, size=134, angle=8),
        Placed(OLIVE, x=384, y=356, size=138, angle=-40),
        Placed(BUTTER, x=486, y=366, size=142, angle=3),
        Placed(CHESTNUT, x=566, y=362, size=128, angle=-5),
    ),
)


def smooth_background(scene: Scene, rng: np.random.Generator) -> Float64[np.ndarray, "h w 3"]:
    """Blend the scene's three colours by blurred noise; RGB in [0, 1]."""
    noise = rng.standard_normal((3, scene.height, scene.width))
    smooth = np.stack([ndimage.gaussian_filter(n, scene.height / 5, mode="reflect") for n in noise])
    weights = np.exp(smooth / smooth.std())
    weights /= weights.sum(axis=0)
    return np.einsum("khw,kc->hwc", weights, np.array(scene.colours))


def shift_hue(rgb: Float[np.ndarray, "h w 3"], turns: float) -> Float[np.ndarray, "h w 3"]:
    """Turn the hue of an RGB picture in [0, 1]; greys stay what they are."""
    hsv = color.rgb2hsv(rgb)
    hsv[..., 0] = (hsv[..., 0] + turns) % 1.0
    return color.hsv2rgb(hsv)


def sprite_on_canvas(
    sprite: UInt8[np.ndarray, "s s 4"], placed: Placed, scene: Scene
) -> tuple[Float64[np.ndarray, "h w 3"], Float64[np.ndarray, "h w 1"]]:
    """Turn, scale and move a sprite in one resampling; returns premultiplied RGB and alpha."""
    straight = np.pad(sprite, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))) / 255.0
    alpha = straight[..., 3:]
    # Premultiplied, because the colour under a transparent pixel means nothing and would bleed in.
    layers = np.concatenate([shift_hue(straight[..., :3], placed.hue) * alpha, alpha], axis=-1)
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


def compose(
    scene: Scene, sprites: dict[str, UInt8[np.ndarray, "s s 4"]], rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Paste the scene's objects over its background, each with a soft shadow on what is behind."""
    canvas = smooth_background(scene, rng)
    for placed in scene.objects:
        rgb, alpha = sprite_on_canvas(sprites[placed.code], placed, scene)
        offset = [part * placed.size for part in SHADOW_OFFSET]
        blurred = ndimage.gaussian_filter(alpha[..., 0], SHADOW_BLUR * placed.size)
        shadow = ndimage.shift(blurred, offset, order=1)[..., None]
        canvas = canvas * (1.0 - SHADOW_DARKNESS * shadow) * (1.0 - alpha) + rgb
    return (canvas * 255.0).round().clip(0, 255).astype(np.uint8)


def load_heldout_sprites(sprites: Path, heldout: Path) -> dict[str, UInt8[np.ndarray, "s s 4"]]:
    """Read the held-out sprites, keyed by code point.

    Raises:
        ValueError: when `sprites` lacks the arrays `x` and `n`, or an object of the scenes is not
            among the held-out rows.
    """
    with np.load(sprites) as archive:
        if not {"x", "n"} <= set(archive.files):
            raise ValueError(f"{sprites}: arrays x (RGBA) and n (code points) are needed")
        rows = np.load(heldout)
        found = {str(n): x for n, x in zip(archive["n"][rows], archive["x"][rows], strict=True)}
    missing = {p.code for scene in (TWINS, CROWD) for p in scene.objects} - found.keys()
    if missing:
        raise ValueError(
            f"{heldout}: no row for {sorted(missing)}; use the list made for {sprites}"
        )
    return found


def make_examples(sprites: Path, heldout: Path, output: Path, seed: int = 0) -> None:
    """Write the five pictures into the folder `output`; the same seed gives the same pictures."""
    found = load_heldout_sprites(sprites, heldout)
    rng = np.random.default_rng(seed)
    output.mkdir(parents=True, exist_ok=True)
    Image.fromarray(data.coins()).save(output / "coins.png", optimize=True)
    Image.fromarray(data.chelsea()).save(output / "cat.jpg", quality=JPEG_QUALITY)
    Image.fromarray(data.coffee()).save(output / "coffee.jpg", quality=JPEG_QUALITY)
    Image.fromarray(compose(TWINS, found, rng)).save(output / "twins.png", optimize=True)
    Image.fromarray(compose(CROWD, found, rng)).save(output / "crowd.png", optimize=True)


def main() -> None:
    """Parse the command line and write the pictures."""
    parser = argparse.ArgumentParser(description="Make the five pictures of examples/.")
    parser.add_argument("sprites", type=Path, help="npz file with x (n, 96, 96, 4) and n (n,)")
    parser.add_argument("heldout", type=Path, help="npy file with the rows that may be used")
    parser.add_argument("--output", type=Path, default=Path("examples"))
    parser.add_argument("--seed", type=int, default=0, help="of the backgrounds")
    arguments = parser.parse_args()
    for path in (arguments.sprites, arguments.heldout):
        if not path.is_file():
            parser.error(f"{path}: no such file")
    make_examples(arguments.sprites, arguments.heldout, arguments.output, arguments.seed)


if __name__ == "__main__":
    main()
