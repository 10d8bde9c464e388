"""Make docs/result.jpg, the picture in the README, from the example photographs.

    python scripts/make_readme_picture.py

Each row: the picture, its edges at the Instance Emergence Point, the thin edges over the picture.
"""

from pathlib import Path

from PIL import Image

import trace_edges as te
from trace_edges.visualize import grey_image, overlay

ROOT = Path(__file__).parent.parent
HEIGHT, GAP = 300, 6


def main() -> None:
    pipe = te.TraceEdgePipeline.from_pretrained()
    rows = []
    for name in ("coffee.jpg", "twins.png"):
        picture = te.load_image(ROOT / "examples" / name)
        result = pipe(picture)
        edges, thin = result.edges[0], result.thin[0]
        rows.append([Image.fromarray(picture), grey_image(edges), overlay(picture, thin)])
    rows = [[tile.resize((round(tile.width * HEIGHT / tile.height), HEIGHT)) for tile in row]
            for row in rows]  # fmt: skip
    width = max(sum(tile.width + GAP for tile in row) - GAP for row in rows)
    sheet = Image.new("RGB", (width, len(rows) * (HEIGHT + GAP) - GAP), "white")
    for index, row in enumerate(rows):
        x = (width - sum(tile.width + GAP for tile in row) + GAP) // 2
        for tile in row:
            sheet.paste(tile.convert("RGB"), (x, index * (HEIGHT + GAP)))
            x += tile.width + GAP
    sheet.save(ROOT / "docs" / "result.jpg", quality=88)


if __name__ == "__main__":
    main()
