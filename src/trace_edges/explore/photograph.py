"""The image that a person looks at on the page, and how it and its results are shown there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8
from PIL import Image
from skimage.measure import block_reduce

from trace_edges.drawing.control import control_image
from trace_edges.drawing.overlays import overlay, segment_overlay
from trace_edges.drawing.visualize import heat_image
from trace_edges.images import ImageError, read_image
from trace_edges.results import EdgeMap

MOST_PIXELS = 50_000_000  # of an image on the page
SHOWN = 1280  # px of the longer side of what the page shows; files have every pixel


@dataclass(frozen=True, eq=False)
class Photograph:
    """One image.

    Attributes:
        name: of its file, without the suffix.
        pixels: (h, w, 3).
        notes: what was done to it as it was loaded.
    """

    name: str
    pixels: UInt8[np.ndarray, "h w 3"]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: str | Path) -> Photograph:
        """Read an image file.

        Raises:
            ImageError: it cannot be read, or has more than 50 million pixels.
        """
        loaded = read_image(path)
        height, width, _ = loaded.pixels.shape
        if height * width > MOST_PIXELS:
            raise ImageError(
                f"{Path(path).name}: {height * width / 1e6:.0f} million pixels; the page takes up "
                f"to {MOST_PIXELS / 1e6:.0f}: make the image smaller, or use `trace-edges detect`"
            )
        return cls(Path(path).stem, loaded.pixels, loaded.notes)

    @property
    def facts(self) -> str:
        """One line: the size, and what was done to the image."""
        height, width, _ = self.pixels.shape
        return "; ".join([f"{self.name}: {width} x {height} px", *self.notes])

    @property
    def block(self) -> int:
        """Every pixel that the page shows stands for a square of so many pixels a side."""
        return -(-max(self.pixels.shape) // SHOWN)

    def fits(self, size: tuple[int, ...]) -> bool:
        """Whether results of that size (h, w) can be this image's, and not those of one before."""
        return self.pixels.shape[:2] == size

    @cached_property
    def shown(self) -> UInt8[np.ndarray, "sh sw 3"]:
        """The image at the size that the page shows."""
        if self.block == 1:
            return self.pixels
        return np.asarray(Image.fromarray(self.pixels).reduce(self.block))

    def strongest(self, values: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "sh sw"]:
        """A map of the image at the size that the page shows; no line is lost."""
        if self.block == 1:
            return values
        return block_reduce(values, (self.block, self.block), np.max)

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        """The pixel (row, column) of the image at a pixel of what is shown."""
        height, width, _ = self.pixels.shape
        return min(int(y) * self.block, height - 1), min(int(x) * self.block, width - 1)

    def drawn(
        self, found: EdgeMap, threshold: float, soft: bool
    ) -> tuple[Image.Image, Image.Image]:
        """The photograph with its edges, and the edges alone, stretched for the eye.

        Args:
            found: of this image.
            threshold: lines of a smaller strength are left out.
            soft: alone, the edges are the smooth map.
        """
        thin = self.strongest(found.thin[0])
        thin = np.where(thin >= threshold, thin, np.float32(0))
        edges = self.strongest(found.edges[0]) if soft else thin
        return overlay(self.shown, thin), control_image(edges, thin, "soft" if soft else "thin")

    def tinted(self, labels: Int32[np.ndarray, "h w"]) -> Image.Image:
        """The photograph with a colour for each number of a map of its pixels but 0."""
        shown = labels[:: self.block, :: self.block]
        return segment_overlay(self.shown, shown, np.unique(shown[shown > 0]).tolist(), {})

    def heated(self, values: Float[np.ndarray, "gh gw"]) -> Image.Image:
        """The photograph under a map of its cells that glows where the values are large, on the
        scale of their roots, since a place looks at itself most of all.
        """
        height, width = self.shown.shape[:2]
        heat = heat_image(values**0.5).resize((width, height), Image.Resampling.NEAREST)
        return Image.blend(Image.fromarray(self.shown), heat, 0.65)
