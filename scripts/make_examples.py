"""Make the five images of `examples/`: three photographs and two composites.

    python -m scripts.make_examples sprites.npz sprites_heldout.npy --output examples

The photographs are the ones bundled with scikit-image, so nothing is downloaded.

The composites are made of sprites of Microsoft Fluent Emoji, 3D style (MIT licence, Copyright (c)
Microsoft Corporation), taken from the npm package `@lobehub/fluent-emoji-3d` 1.1.0. `sprites.npz`
holds them as `x` (n, 96, 96, 4) uint8 RGBA with their code points `n` (n,); `sprites_heldout.npy`
lists the rows that were kept out of the training of trace-mini, and only those are used here, so
that no object of the composites was seen in training. `examples/CREDITS.md` gives every licence.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from recipes.trace_mini.composites import Placed, Scene, load_sprites, render
from trace_edges.files import FileError

JPEG_QUALITY = 95

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


def make_examples(sprites: Path, heldout: Path, output: Path, seed: int = 0) -> None:
    """Write the five images into the folder `output`; the same seed gives the same images."""
    found = load_sprites(sprites, heldout)
    if missing := {placed.name for placed in (*TWINS.objects, *CROWD.objects)} - found.keys():
        raise FileError(heldout, f"has no row for {sorted(missing)}", f"use the list for {sprites}")
    rng = np.random.default_rng(seed)
    output.mkdir(parents=True, exist_ok=True)
    Image.fromarray(data.coins()).save(output / "coins.png", optimize=True)
    Image.fromarray(data.chelsea()).save(output / "cat.jpg", quality=JPEG_QUALITY)
    Image.fromarray(data.coffee()).save(output / "coffee.jpg", quality=JPEG_QUALITY)
    Image.fromarray(render(TWINS, found, rng)[0]).save(output / "twins.png", optimize=True)
    Image.fromarray(render(CROWD, found, rng)[0]).save(output / "crowd.png", optimize=True)


def main() -> None:
    """Parse the command line and write the images."""
    parser = argparse.ArgumentParser(description="Make the five images of examples/.")
    parser.add_argument("sprites", type=Path, help="npz file with x (n, 96, 96, 4) and n (n,)")
    parser.add_argument("heldout", type=Path, help="npy file with the rows that may be used")
    parser.add_argument("--output", type=Path, default=Path("examples"))
    parser.add_argument("--seed", type=int, default=0, help="seed of the backgrounds")
    arguments = parser.parse_args()
    for path in (arguments.sprites, arguments.heldout):
        if not path.is_file():
            parser.error(f"{path}: no such file")
    make_examples(arguments.sprites, arguments.heldout, arguments.output, arguments.seed)


if __name__ == "__main__":
    main()
