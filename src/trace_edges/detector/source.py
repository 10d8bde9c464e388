"""What every detector does around its network, whatever computes that: sizes, views and drawing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from trace_edges.detector.drawing import ProbabilityDrawing
from trace_edges.detector.settings import DetectorSettings
from trace_edges.images import model_size, resize_image, to_model
from trace_edges.sources import EdgeSource, Preparation, Prepared, Reading, Size


class ProbabilitySource(EdgeSource[DetectorSettings]):
    """Edges as a network's probabilities at the pixels that it sees.

    Attributes:
        resolution: sqrt(H * W) in px of what it sees.
    """

    default = DetectorSettings()
    called = "detector"
    resolution: int

    @property
    @abstractmethod
    def cell(self) -> int:
        """Sides of what it sees are multiples of so many px."""

    @abstractmethod
    def made_of(self) -> dict[str, Any]:
        """Lists the backbone, None where there is none, and the number type."""

    @abstractmethod
    def probabilities(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b H W"]:
        """The probability of an edge at every pixel of images in [-1, 1].

        Raises:
            BackboneError: too little memory, or something is not finite: see the message.
        """

    def preparation(self, settings: DetectorSettings) -> Preparation:
        """The network sees the image at its resolution, in whole cells; several views are made of
        the whole image.
        """
        resolution = settings.resolution or self.resolution
        return Preparation(resolution, self.cell, shrink=settings.is_single)

    def drawing(self, settings: DetectorSettings) -> ProbabilityDrawing:
        """A spline through the probabilities, and its ridges."""
        return ProbabilityDrawing()

    def describe(self, settings: DetectorSettings | None = None) -> dict[str, Any]:
        """What its results are made with, as it stands in them."""
        chosen = settings or self.default
        return {
            "method": "one-step",
            **self.made_of(),
            "resolution": chosen.resolution or self.resolution,
            "scales": list(chosen.scales),
            "mirror": chosen.mirror,
        }

    def read(
        self, batch: Sequence[Prepared], settings: DetectorSettings, *, attention: bool = False
    ) -> list[Reading]:
        """The probability of an edge at every pixel (H, W) of what the network sees.

        Raises:
            ValueError: `attention` is asked for: a detector gives none.
            BackboneError: as `probabilities`.
        """
        if attention:
            raise ValueError("a detector gives no attention: read it from a TraceEdgePipeline")
        images = [one.image for one in batch if one.image is not None]
        seen = [
            view
            for scale in settings.scales
            for view in self._views(images, batch[0].size, scale, settings.mirror)
        ]
        return [Reading(one, 0) for one in np.mean(seen, axis=0)]

    def _views(
        self,
        images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        size: Size,
        scale: float,
        mirror: bool,
    ) -> Iterator[Float32[np.ndarray, "b H W"]]:
        """Probabilities at `size`, of images that are seen at a multiple of it; and mirrored."""
        view = (
            size if scale == 1 else model_size(*size, round(scale * prod(size) ** 0.5), self.cell)
        )
        pixels = np.stack([to_model(resize_image(image, view)) for image in images])
        for turn in (1, -1) if mirror else (1,):  # along a row: as it is, or mirrored
            found = self.probabilities(np.ascontiguousarray(pixels[..., ::turn]))[..., ::turn]
            yield found if view == size else np.stack([_resized(one, size) for one in found])


def weights_digest(weights: Iterable[tuple[str, np.ndarray]], backbone: str = "") -> str:
    """Equal for detectors that give equal edges, whatever computes them.

    Args:
        weights: what was learnt, by name.
        backbone: the fingerprint of what it reads.
    """
    digest = blake2b(backbone.encode(), digest_size=16)
    for name, weight in sorted(weights):
        digest.update(name.encode())
        digest.update(weight.astype(np.float32).tobytes())
    return digest.hexdigest()


def _resized(values: Float32[np.ndarray, "_ _"], size: Size) -> Float32[np.ndarray, "H W"]:
    """Bilinear, and antialiased going down."""
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
