"""What looks at the pictures, cut where processes part: before it, the model itself, after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8

from trace_edges.backbones.backbone import add_weights
from trace_edges.detector import DetectorSettings, EdgeDetector
from trace_edges.detector.drawing import draw_probabilities
from trace_edges.images import MIN_SIDE, model_size, resize_image
from trace_edges.load_options import LoadOptions
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.ridges import draw_edges
from trace_edges.training_free.settings import TraceSettings
from trace_edges.training_free.shifts import shifted_views

Picture = UInt8[np.ndarray, "h w 3"]
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture that is ready for the model.

    Attributes:
        picture: as the model takes it.
        size: (H, W) in px at which the model looks at it: pictures of one size share a batch.
        shape: (h, w) of the image itself.
    """

    picture: Picture
    size: Size
    shape: Size


@dataclass(frozen=True, eq=False)
class Seen:
    """What the model says of one picture: on its own grid, so it is small."""

    values: Float32[np.ndarray, "gh gw"]
    timestep: int


@dataclass(frozen=True)
class Preparation:
    """From the picture to what the model takes; runs in a worker.

    Attributes:
        resolution: sqrt(H * W) in px.
        cell: what the sides are multiples of.
        shrink: whether the model takes the picture at that size; else it takes it whole.
    """

    resolution: int
    cell: int
    shrink: bool

    def __call__(self, picture: Picture) -> Prepared:
        height, width, _ = picture.shape
        size = model_size(height, width, self.resolution, self.cell)
        ready = resize_image(picture, size) if self.shrink else picture
        return Prepared(ready, size, (height, width))


@dataclass(frozen=True)
class Drawing:
    """From what was seen to edges of the size of the image; runs in a worker.

    Attributes:
        subcell, half_edge: of the training-free way; None: the detector's probabilities.
    """

    subcell: int | None = None
    half_edge: float = 1.0

    def __call__(
        self, seen: Seen, size: Size
    ) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
        """Edges in [0, 1], and where their ridges run."""
        if self.subcell is None:
            return draw_probabilities(seen.values, size)
        return draw_edges(seen.values, size, self.subcell, self.half_edge)


class Model(Protocol):
    """What looks at pictures, and what has to be done before and after."""

    @property
    def preparation(self) -> Preparation: ...

    @property
    def drawing(self) -> Drawing: ...

    def describe(self) -> dict[str, Any]:
        """All that its answers depend on, plain JSON values."""

    def read(self, batch: list[Prepared]) -> list[Seen]:
        """Look at pictures of one `size` at once."""


class Loader(Protocol):
    """Makes the model, here or in another process."""

    def __call__(self) -> Model: ...


class DetectorModel:
    """One step, by a distilled detector."""

    def __init__(self, detector: EdgeDetector, resolution: int | None) -> None:
        self.detector = detector
        self._settings = DetectorSettings(resolution)
        seen = detector.describe(self._settings)["resolution"]
        self.preparation = Preparation(seen, detector.student.backbone.cell, shrink=True)
        self.drawing = Drawing()

    def describe(self) -> dict[str, Any]:
        weights = weights_digest(self.detector.student.backbone.denoiser, self.detector.student)
        return self.detector.describe(self._settings) | {"weights": weights}

    def read(self, batch: list[Prepared]) -> list[Seen]:
        pictures = [one.picture for one in batch]
        found = self.detector.probabilities(pictures, batch[0].size)  # (B, H, W)
        return [Seen(values, 0) for values in found]


class PipelineModel:
    """The training-free way, on any backbone.

    Raises:
        ValueError: settings fit no picture: better now than for every single one.
    """

    def __init__(self, pipe: TraceEdgePipeline, settings: TraceSettings) -> None:
        self.pipe, self.settings = pipe, settings
        known = pipe.describe(settings)
        pipe.timesteps(settings)
        pipe.backbone.reading(settings.layers)
        smallest = np.zeros((MIN_SIDE, MIN_SIDE, 3), dtype=np.uint8)
        cell, multiple = pipe.backbone.cell, pipe.backbone.multiple
        next(shifted_views([smallest], (2 * cell, 2 * cell), cell, known["subcell"]))
        model_size(MIN_SIDE, MIN_SIDE, known["resolution"], multiple)
        self.preparation = Preparation(known["resolution"], multiple, shrink=False)
        self.drawing = Drawing(known["subcell"], known["half_edge"])

    def describe(self) -> dict[str, Any]:
        weights = weights_digest(*self.pipe.backbone.models)
        return self.pipe.describe(self.settings) | {"weights": weights}

    def read(self, batch: list[Prepared]) -> list[Seen]:
        readings = self.pipe.read([one.picture for one in batch], self.settings)
        return [Seen(raw, int(emergence.timestep[0])) for raw, emergence in readings]


@dataclass(frozen=True)
class ModelLoader:
    """Loads a detector or a pipeline by name, in whichever process it is called.

    Attributes:
        kind: "detector" or "pipeline".
        name: a folder, a hub id, or trace-mini.
        settings: how it looks at a picture; of a detector the resolution alone.
        device: cpu, cuda, ...; "auto" takes an accelerator if there is one.
        dtype: of the weights.
        options: how a pipeline is loaded.
    """

    kind: Literal["detector", "pipeline"]
    name: str
    settings: TraceSettings = field(default_factory=TraceSettings)
    device: str = "auto"
    dtype: str = "float32"
    options: LoadOptions = field(default_factory=LoadOptions)

    def __call__(self) -> Model:
        device = self.device
        if device == "auto":
            device = str(torch.accelerator.current_accelerator(check_available=True) or "cpu")
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"device {device!r} is not available: {reason}") from error
        options: dict[str, Any] = {"device": device, "dtype": getattr(torch, self.dtype)}
        if self.kind == "detector":
            detector = EdgeDetector.from_pretrained(self.name, **options)
            return DetectorModel(detector, self.settings.resolution)
        return PipelineModel(self.options.load(self.name, **options), self.settings)


def weights_digest(*modules: torch.nn.Module) -> str:
    """Equal for equal weights (a sample of each tensor), whatever device they lie on."""
    digest = blake2b(digest_size=8)
    for module in modules:
        add_weights(digest, module.state_dict())
    return digest.hexdigest()
