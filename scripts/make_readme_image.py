"""Make docs/result.jpg, the image in the README, from three of the examples.

    python -m scripts.make_readme_image

Each row: the image, the edges of the default detector over it, and the instances that these edges
close (`segment`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import trace_edges as te

ROOT = Path(__file__).parent.parent
WIDTH, GAP = 420, 6


def main() -> None:
    detector = te.EdgeDetector.from_pretrained()
    rows = [row(detector, te.load_image(ROOT / "examples" / name)) for name in
            ("crowd.png", "coins.png", "coffee.jpg")]  # fmt: skip
    height = sum(tiles[0].height + GAP for tiles in rows) - GAP
    sheet = Image.new("RGB", (3 * (WIDTH + GAP) - GAP, height), "white")
    top = 0
    for tiles in rows:
        for column, tile in enumerate(tiles):
            sheet.paste(tile, (column * (WIDTH + GAP), top))
        top += tiles[0].height + GAP
    sheet.save(ROOT / "docs" / "result.jpg", quality=90)


def row(detector: te.EdgeDetector, image: np.ndarray) -> list[Image.Image]:
    """The three tiles of an image, WIDTH px wide."""
    edges = detector(image)
    instances = te.instances_from_edges(edges)
    size = (WIDTH, round(WIDTH * image.shape[0] / image.shape[1]))
    drawn = (Image.fromarray(image), edges.overlay(image), instances.overlay(image))
    return [tile.resize(size, Image.Resampling.LANCZOS) for tile in drawn]


if __name__ == "__main__":
    main()
