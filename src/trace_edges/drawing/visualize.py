"""Values, curves and sheets of images drawn, as PIL images and without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

_INK = (40, 40, 40)
_PAPER = (255, 255, 255)
_GRID = (225, 225, 225)
_MARK = (230, 30, 80)
_LEFT, _RIGHT = 52, 14  # px beside a curve


def grey_image(values: Float[np.ndarray, "h w"]) -> Image.Image:
    """Values in [0, 1] as an 8-bit grey image, 1 white."""
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def heat_image(values: Float[np.ndarray, "h w"]) -> Image.Image:
    """Any non-negative values, from black (0) over red and yellow to white (the largest)."""
    scaled = values / max(float(values.max(initial=0)), np.finfo(np.float32).tiny)
    channels = [np.clip(3 * scaled - offset, 0, 1) for offset in range(3)]
    return Image.fromarray(np.rint(np.stack(channels, axis=-1) * 255).astype(np.uint8))


def curve_image(
    steps: Sequence[int], values: Float[np.ndarray, " n"], marked: int, size: tuple[int, int]
) -> Image.Image:
    """A curve over timesteps with one of them marked, as the KL curve with t*.

    Args:
        steps: (n,) timestep of each value.
        values: (n,) nats, >= 0.
        marked: the timestep that gets a vertical line, whether or not it has a value.
        size: (width, height) in pixels.
    """
    width, height = size
    left, right, top, bottom = _LEFT, width - _RIGHT, 26, height - 24
    image = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=12)
    draw.text((left, 6), "KL between consecutive steps, nats", fill=_INK, font=font)
    highest = 1.05 * max(float(values.max(initial=0)), float(np.finfo(np.float32).tiny))
    last = max([*steps, marked, 1])

    def place(step: int, value: int | float) -> tuple[float, float]:
        return (
            left + (right - left) * step / last,
            bottom - (bottom - top) * value / highest,
        )

    for fraction in (0, 0.5, 1):
        _, y = place(0, fraction * highest)
        draw.line([(left, y), (right, y)], fill=_GRID)
        label = f"{fraction * highest:.2g}"
        draw.text((left - 6, y), label, fill=_INK, font=font, anchor="rm")
    for step in sorted({*steps, marked}):
        x, _ = place(step, 0)
        draw.text((x, bottom + 4), str(step), fill=_INK, font=font, anchor="ma")
    x, _ = place(marked, 0)
    draw.line([(x, top), (x, bottom)], fill=_MARK, width=2)
    points = [place(step, float(value)) for step, value in zip(steps, values, strict=True)]
    if len(points) > 1:
        draw.line(points, fill=_INK, width=2)
    for px, py in points:
        draw.ellipse([px - 3, py - 3, px + 3, py + 3], fill=_INK)
    return image


def curve_step(x: float, steps: Sequence[int], width: int) -> int:
    """The step that lies nearest to a column of `curve_image`.

    Args:
        x: the column, px.
        steps: of the curve, the largest among them.
        width: of the image, px.
    """
    at = (x - _LEFT) / (width - _RIGHT - _LEFT) * max([*steps, 1])
    return min(steps, key=lambda step: abs(step - at))


def contact_sheet(
    rows: Sequence[Sequence[tuple[str, Image.Image]]], tile: int = 176, gap: int = 8
) -> Image.Image:
    """Captioned images in rows; each is fitted into a square of `tile` pixels, never enlarged
    out of proportion. Rows may be of different lengths.
    """
    caption = 18
    columns = max(len(row) for row in rows)
    size = (columns * (tile + gap) + gap, len(rows) * (tile + caption + gap) + gap)
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for r, row in enumerate(rows):
        for c, (title, image) in enumerate(row):
            x, y = gap + c * (tile + gap), gap + r * (tile + caption + gap)
            draw.text((x, y), title, fill=_INK, font=font)
            scale = tile / max(image.size)
            fitted = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            # Grids of a few cells are shown as cells, images smoothly.
            how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
            sheet.paste(image.convert("RGB").resize(fitted, how), (x, y + caption))
    return sheet
