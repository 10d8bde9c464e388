"""Make docs/result.jpg, the image in the README, from the example photographs.

    python scripts/make_readme_image.py

Each row: the image, its edges, and what is made of them. Two rows are of the training-free method,
with the thin edges over the image; the last is of the one-step detector, with the regions that
its edges close.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter

import trace_edges as te
from trace_edges.drawing.overlays import instance_overlay, overlay
from trace_edges.drawing.visualize import grey_image

ROOT = Path(__file__).parent.parent
HEIGHT, GAP = 300, 6


def main() -> None:
    pipe = te.TraceEdgePipeline.from_pretrained()
    rows = []
    for name in ("coffee.jpg", "twins.png"):
        image = te.load_image(ROOT / "examples" / name)
        result = pipe(image)
        rows.append(tiles(image, result.edges[0], result.thin[0]))
    rows.append(regions(te.load_image(ROOT / "examples" / "coins.png")))
    width = max(sum(tile.width + GAP for tile in row) - GAP for row in rows)
    sheet = Image.new("RGB", (width, len(rows) * (HEIGHT + GAP) - GAP), "white")
    for index, row in enumerate(rows):
        x = (width - sum(tile.width + GAP for tile in row) + GAP) // 2
        for tile in row:
            sheet.paste(tile.convert("RGB"), (x, index * (HEIGHT + GAP)))
            x += tile.width + GAP
    sheet.save(ROOT / "docs" / "result.jpg", quality=88)


def tiles(image: np.ndarray, edges: np.ndarray, thin: np.ndarray) -> list[Image.Image]:
    """The three images of a row, HEIGHT px high, with lines that are as thin at that size."""
    height, width = thin.shape
    size = (round(width * HEIGHT / height), HEIGHT)
    small = Image.fromarray(image).resize(size)
    reach = max(1, round(height / HEIGHT))  # a line that falls between two samples must not vanish
    lines = Image.fromarray(maximum_filter(thin, size=reach)).resize(size, Image.Resampling.NEAREST)
    return [small, grey_image(edges).resize(size), overlay(np.asarray(small), np.asarray(lines))]


def regions(image: np.ndarray) -> list[Image.Image]:
    """The same of the detector, with its instances."""
    edges = te.EdgeDetector.from_pretrained()(image).edges[0]
    drawn = instance_overlay(image, te.instances_from_edges(edges))
    height, width = edges.shape
    size = (round(width * HEIGHT / height), HEIGHT)
    return [tile.resize(size) for tile in (Image.fromarray(image), grey_image(edges), drawn)]


if __name__ == "__main__":
    main()
