"""Instance edges of images, and the step from which they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Bool, Float32, Int64

from trace_edges.results.archive import Archived, unpacked
from trace_edges.results.calibration import Calibration
from trace_edges.results.showing import Shown

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Emergence:
    """The Instance Emergence Point of N images (section 3.2).

    Attributes:
        timesteps: (S,) the steps that were visited, ascending.
        curve: (N, S - 1) KL(SA(X_tprev) || SA(X_t)) in nats; entry i belongs to `timesteps[i + 1]`.
        timestep: (N,) the step whose attention gave the edges: t*, or the one that was asked for.
    """

    timesteps: Int64[np.ndarray, " s"]
    curve: Float32[np.ndarray, "n s1"]
    timestep: Int64[np.ndarray, " n"]

    def __post_init__(self) -> None:
        if self.curve.shape != (len(self.timestep), len(self.timesteps) - 1):
            raise ValueError(
                f"{len(self.timesteps)} steps of {len(self.timestep)} images need a curve of shape "
                f"{(len(self.timestep), len(self.timesteps) - 1)}, got {self.curve.shape}"
            )
        if not np.isin(self.timestep, self.timesteps).all():
            raise ValueError(f"timestep {self.timestep} was not visited: {self.timesteps}")

    def __len__(self) -> int:
        return len(self.timestep)

    def __getitem__(self, images: slice) -> Emergence:
        """Of some of the images."""
        return Emergence(self.timesteps, self.curve[images], self.timestep[images])

    def plot(self, index: int = 0, size: tuple[int, int] = (640, 360)) -> Image:
        """The KL curve of one image over the timesteps, with t* marked (figure 3 of the paper).

        Args:
            index: which image.
            size: (width, height) of the plot in pixels.
        """
        from trace_edges.drawing.visualize import curve_image

        steps, marked = self.timesteps.tolist(), int(self.timestep[index])
        return curve_image(steps[1:], self.curve[index], marked, size)


@dataclass(frozen=True, eq=False, repr=False)
class EdgeMap(Shown, Archived):
    """Instance edges of N images of one size.

    Attributes:
        edges: (N, H, W) float32 in [0, 1], H x W of the input: how strongly two instances differ
            here. Training-free E / (E + e0) of the divergence E, else a detector's probability. A
            smooth map, bands of about one attention cell.
        ridges: (N, H, W) where the lines run: `edges` peaks across the boundary.
        raw: (N, h, w) ABDiv in nats, >= 0, on the attention grid (finer with `subcell`); None from
            a method that measures none.
        emergence: the KL curve and the step that was used; None from a method that has none.
        settings: what the edges were made with, plain JSON values.
    """

    _form = "trace-edges edge map 1"
    _called = "an edge map"

    edges: Float32[np.ndarray, "n h w"]
    ridges: Bool[np.ndarray, "n h w"]
    raw: Float32[np.ndarray, "n gh gw"] | None = None
    emergence: Emergence | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.edges.ndim != 3 or self.edges.shape != self.ridges.shape:
            raise ValueError(
                f"edges {self.edges.shape} and ridges {self.ridges.shape} must both be (N, H, W)"
            )
        if self.raw is not None and len(self.raw) != len(self.edges):
            raise ValueError(f"{len(self.edges)} edges and {len(self.raw)} raw maps are not of the "
                             "same images")  # fmt: skip
        if self.emergence is not None and len(self.emergence) != len(self.edges):
            raise ValueError(f"{len(self.edges)} edges and {len(self.emergence)} emergence points "
                             "are not of the same images")  # fmt: skip
        if self.edges.size and not (self.edges.min() >= 0 and self.edges.max() <= 1):
            raise ValueError("edges must lie in [0, 1] and hold no NaN")

    def __len__(self) -> int:
        return len(self.edges)

    def __getitem__(self, index: int) -> EdgeMap:
        """The result of one image, as an EdgeMap with N = 1."""
        index = range(len(self))[index]  # raises the IndexError that ends an iteration
        one = slice(index, index + 1)
        raw = None if self.raw is None else self.raw[one]
        emergence = None if self.emergence is None else self.emergence[one]
        return EdgeMap(self.edges[one], self.ridges[one], raw, emergence, self.settings)

    @property
    def thin(self) -> Float32[np.ndarray, "n h w"]:
        """Edges after non-maximum suppression across the boundary: 0 off the ridges."""
        return np.where(self.ridges, self.edges, np.float32(0))

    def calibrated(self, calibration: Calibration) -> EdgeMap:
        """The same lines with precision as strength: 0.5 means that half of such lines are true.

        Args:
            calibration: of `EdgeScores`, or `Calibration.load` of a file.

        Raises:
            ValueError: it was measured on edges that were made with other settings.
        """
        calibration.check(self.settings)
        settings = {**self.settings, "calibration": calibration.digest}
        return replace(self, edges=calibration(self.edges), settings=settings)

    @property
    def facts(self) -> str:
        """One line: how many images of which size, by which method, and what was found."""
        count, height, width = self.edges.shape
        images = "1 image" if count == 1 else f"{count} images"
        method = self.settings.get("method")
        step = None if self.emergence is None else np.unique(self.emergence.timestep).tolist()
        found = [
            f"{images} of {height} x {width} px",
            f"ridges on {self.ridges.mean():.1%} of the pixels" if self.ridges.size else "",
            f"strength up to {self.edges.max():.2f}" if self.edges.size else "",
            f"read at t = {', '.join(map(str, step))}" if step else "",
            str(method) if method else "",
        ]
        return ", ".join(filter(None, found))

    def image(self, index: int = 0) -> Image:
        """The thin edges of one image, white on black; strength is stretched for the eye as
        `drawing.overlays.shown_strength` says, while `thin` stays as it is.
        """
        from trace_edges.drawing.overlays import edge_image

        return edge_image(self[index].thin[0])

    def overlay(self, image: Any, index: int = 0) -> Image:
        """The thin edges over their image, dimmed: from purple (weak) over red to yellow (strong),
        stretched as in `image`.

        Args:
            image: the one that the edges are of; anything that `load_image` takes.
            index: which of the N it is.

        Raises:
            ImageError: it cannot be read as an image.
            ValueError: it has another size.
        """
        from trace_edges.drawing.overlays import overlay
        from trace_edges.images import load_image

        return overlay(load_image(image), self[index].thin[0])

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {"edges": self.edges, "ridges": np.packbits(self.ridges, axis=None)}
        if self.raw is not None:
            arrays["raw"] = self.raw
        if self.emergence is not None:
            arrays |= vars(self.emergence)
        return arrays

    @classmethod
    def _built(cls, data: dict[str, Any], settings: dict[str, Any]) -> Self:
        edges, emergence = data["edges"], None
        if edges.dtype.kind != "f":
            raise TypeError(f"edges are {edges.dtype}")
        if "curve" in data:
            emergence = Emergence(data["timesteps"], data["curve"], data["timestep"])
        ridges = unpacked(data["ridges"], edges.shape)
        return cls(edges, ridges, data.get("raw"), emergence, settings)


def stack_edge_maps(results: Sequence[EdgeMap]) -> EdgeMap:
    """One EdgeMap of N images of one size from N of one image, made by one method with the same
    settings.
    """
    raws = [result.raw for result in results if result.raw is not None]
    points = [result.emergence for result in results if result.emergence is not None]
    emergence = None
    if points:
        curve = np.concatenate([point.curve for point in points])
        timestep = np.concatenate([point.timestep for point in points])
        emergence = Emergence(points[0].timesteps, curve, timestep)
    return EdgeMap(
        np.concatenate([result.edges for result in results]),
        np.concatenate([result.ridges for result in results]),
        np.concatenate(raws) if raws else None,
        emergence,
        results[0].settings,
    )
