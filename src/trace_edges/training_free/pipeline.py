"""The training-free method, from an image to its instance edges (sections 3.1 to 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from trace_edges.attention import without_autocast
from trace_edges.backbones import (
    EMBEDDED,
    Backbone,
    BackboneError,
    DiffusionBackbone,
    explained_memory,
    open_backbone,
)
from trace_edges.images import MIN_SIDE, ImageSource, model_size
from trace_edges.results import EdgeMap, Emergence
from trace_edges.sources import BATCH_SIZE, EdgeSource, Preparation, Prepared, Reading, Size, Step
from trace_edges.training_free.emergence import emergence_index
from trace_edges.training_free.ridges import DivergenceDrawing, own_half_edge
from trace_edges.training_free.settings import (
    OF_TRAJECTORY,
    TraceSettings,
    is_single_pass,
    visited_steps,
)
from trace_edges.training_free.shifts import interleave, shifted_views
from trace_edges.training_free.trajectory import KeptSteps, TrajectoryReading, read_trajectory

OnStep = Callable[[Step, Float32[torch.Tensor, " b"] | None], None]


class TraceEdgePipeline(EdgeSource[TraceSettings]):
    """Instance edges from a diffusion model's self-attention, without training.

    Examples:
        >>> pipe = TraceEdgePipeline.from_pretrained()
        >>> out = pipe("street.jpg")
        >>> out.edges.shape  # (1, H, W), in [0, 1], at the size of the input
    """

    default = TraceSettings()
    called = "pipe"

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    @classmethod
    def from_pretrained(cls, name: str | Path = EMBEDDED, **options: Any) -> TraceEdgePipeline:
        """Load a backbone: the embedded trace-mini, one with a name ("sd3.5-large", "dinov2-base"),
        a folder, or a hub id.

        Args:
            name: see `open_backbone`, as for `options` (dtype or torch_dtype, device, revision,
                local_files_only, variant, null, quantize).

        Raises:
            BackboneError: it cannot be found or is not supported.
        """
        if "torch_dtype" in options:
            options["dtype"] = options.pop("torch_dtype")
        return cls(open_backbone(name, **options))

    def to(self, device: str | torch.device) -> TraceEdgePipeline:
        """Move the model; returns itself."""
        self.backbone.to(device)
        return self

    def enable_model_cpu_offload(self, device: str | torch.device = "cuda") -> TraceEdgePipeline:
        """Keep the weights in the computer's memory, and each model on `device` only while it runs;
        returns itself.
        """
        self.backbone.enable_model_cpu_offload(device)
        return self

    def enable_vae_tiling(self) -> TraceEdgePipeline:
        """Encode large images in tiles: less memory, slightly other latents; returns itself.

        Raises:
            BackboneError: the backbone has no VAE.
        """
        if not isinstance(self.backbone, DiffusionBackbone):
            raise BackboneError(
                f"{self.backbone.name} has no VAE to tile: it sees the image itself"
            )
        if hasattr(self.backbone.vae, "enable_tiling"):  # trace-mini's needs little memory
            self.backbone.vae.enable_tiling()
            self.backbone.loaded_with["vae_tiling"] = True
        return self

    def __call__(
        self,
        images: ImageSource | list[Any],
        settings: TraceSettings | None = None,
        *,
        batch_size: int = BATCH_SIZE,
        on_step: Callable[[Step], None] | None = None,
        **changes: Any,
    ) -> EdgeMap:
        """Detect the edges of one image, or of several images of one size: see `EdgeSource`.

        Args:
            images: a path, bytes, PIL image, array or tensor, a list of them, or a batch.
            settings: see `TraceSettings`.
            batch_size: so many images share a pass, whatever their number.
            on_step: called with every step that the curve of changes is read from, while its
                attention is alive; for each batch anew.
            changes: single settings by name, for instance `resolution=512`.
        """
        told = None if on_step is None else lambda step, change: on_step(step)
        return self._detect(images, self.chosen(settings, changes), batch_size, on_step=told)

    def preparation(self, settings: TraceSettings) -> Preparation:
        """The model takes whole images, since shifted views are windows of a larger one."""
        return Preparation(self._resolutions(settings)[0], self.backbone.multiple)

    def drawing(self, settings: TraceSettings) -> DivergenceDrawing:
        """A spline through ABDiv, and its ridges."""
        defaults = self.backbone.defaults
        return DivergenceDrawing(settings.subcell or defaults.subcell, defaults.half_edge)

    def describe(self, settings: TraceSettings | None = None) -> dict[str, Any]:
        """The settings with the backbone's own in place of None, as they stand in results."""
        settings = settings or self.default
        defaults = self.backbone.defaults
        resolution, emergence_resolution = self._resolutions(settings)
        layers = None if settings.layers is None else list(settings.layers)
        described = asdict(settings) | {
            "method": "training-free",
            "backbone": self.backbone.name,
            "dtype": str(self.backbone.dtype).removeprefix("torch."),
            "resolution": resolution,
            "subcell": settings.subcell or defaults.subcell,
            "half_edge": defaults.half_edge,
            "emergence_resolution": emergence_resolution,
            "layers": layers,
        }
        described |= self.backbone.loaded_with
        if self.backbone.schedule.prediction_type != "flow":
            described["shift"] = None
        if is_single_pass(self.backbone):
            described |= {"method": "encoder", **dict.fromkeys(OF_TRAJECTORY)}
        return described

    def record(self, reading: Reading, prepared: Prepared) -> dict[str, Any]:
        """Also e0, where it is the map's own."""
        recorded = super().record(reading, prepared)
        if self.backbone.defaults.half_edge is None:
            recorded["half_edge"] = own_half_edge(reading.values)
        return recorded

    def fingerprint(self) -> str:
        """Equal for backbones whose weights are equal, on whatever device they lie."""
        if isinstance(self.backbone, DiffusionBackbone):
            return self.backbone.fingerprint("cpu")
        return self.backbone.fingerprint()

    def check(self, settings: TraceSettings) -> None:
        """Raise what would stop every image.

        Raises:
            ValueError: there is no such step or layer, or the sizes do not fit the model.
        """
        visited_steps(self.backbone, settings)
        self.backbone.reading(settings.layers)
        smallest = np.zeros((MIN_SIDE, MIN_SIDE, 3), dtype=np.uint8)
        cell, multiple = self.backbone.cell, self.backbone.multiple
        next(shifted_views([smallest], (2 * cell, 2 * cell), cell, self.drawing(settings).subcell))
        model_size(MIN_SIDE, MIN_SIDE, self._resolutions(settings)[0], multiple)

    def read(
        self,
        batch: Sequence[Prepared],
        settings: TraceSettings,
        *,
        attention: bool = False,
        on_step: OnStep | None = None,
    ) -> list[Reading]:
        """ABDiv at t* on the attention grid, and how t* was found.

        Args:
            batch: images that the model reads at one size.
            settings: see `TraceSettings`.
            attention: keep the attention at t*, on the grid that t* is found on.
            on_step: called with every step that the curve is read from, and the change before it.

        Raises:
            BackboneError: the device has too little memory; the message says what would fit.
        """
        size = batch[0].size
        images = [one.image for one in batch if one.image is not None]
        # What is recorded as the number type is what computes, whatever the caller's autocast says.
        with (
            explained_memory(self.backbone, size, len(images)),
            without_autocast(self.backbone.device),
        ):
            return self._read(images, size, settings, attention, on_step)

    def _read(
        self,
        images: list[UInt8[np.ndarray, "_ _ 3"]],
        size: Size,
        settings: TraceSettings,
        attention: bool,
        on_step: OnStep | None,
    ) -> list[Reading]:
        subcell = self.drawing(settings).subcell
        views = shifted_views(images, size, self.backbone.cell, subcell)
        seeks = settings.timestep is None and not is_single_pass(self.backbone)
        kept = KeptSteps(settings.ignore_first, last=not seeks) if attention else None
        watching = [one for one in (on_step, kept) if one is not None]

        def watch(step: Step, change: Float32[torch.Tensor, " b"] | None) -> None:
            for one in watching:
                one(step, change)

        # 1. Move the latents towards noise; read SA(X_t), its ABDiv, and the change (KL) since the
        # step before. A step that was asked for is the last one, and those before it are not read.
        (shift, view), timesteps = next(views), visited_steps(self.backbone, settings)
        coarse = self._emergence_view(images, size, settings)
        start = 0 if seeks else len(timesteps) - 1
        first = self.read_view(
            view if coarse is None else coarse, timesteps, settings,
            watch if watching else None, start,
        )  # fmt: skip

        # 2. The Instance Emergence Point t*: the step after the largest change, for each image.
        if seeks:
            chosen = emergence_index(first.curve.numpy(), first=settings.ignore_first)  # (B,)
        else:
            chosen = np.zeros(len(images), dtype=int)  # of the single one that was read

        # 3. Where t* was found on a coarser grid, or a finer one is asked for: read again, at the
        # full size and from shifted views, no further than to t*.
        lowest, stop = int(chosen.min()), int(chosen.max()) + 1
        again = partial(
            self.read_view, timesteps=timesteps[: start + stop], settings=settings,
            start=start + lowest,
        )  # fmt: skip
        divergence = first.divergence[lowest:stop] if coarse is None else again(view).divergence
        views_of = {shift: divergence}  # shift -> (S', B, h, w), of the steps from the first t* on
        views_of |= {shift: again(view).divergence for shift, view in views}

        # 4. ABDiv at t* of each image; `draw` brings it from the grid to the pixels of the input.
        readings = []
        for index, step in enumerate(chosen):
            at = step - lowest
            raw = interleave({s: d[at, index].numpy() for s, d in views_of.items()}, subcell)
            timestep, curve = first.timesteps[step], first.curve[index : index + 1].numpy()
            emergence = Emergence(np.array(first.timesteps), curve, np.array([timestep]))
            own = None if kept is None else kept[index]
            readings.append(Reading(raw, timestep, emergence, measured=True, step=own))
        return readings

    def read_view(
        self,
        images: Float32[torch.Tensor, "b 3 H W"],
        timesteps: tuple[int, ...],
        settings: TraceSettings,
        on_step: OnStep | None = None,
        start: int = 0,
    ) -> TrajectoryReading:
        """Read one view of the images through `timesteps`, as the settings say, from the `start`-th
        step on.
        """
        return read_trajectory(
            self.backbone.reading(settings.layers), images, timesteps,
            settings.trajectory, settings.seed,
            start=start, criterion=settings.criterion, on_step=on_step, **settings.divergence,
        )  # fmt: skip

    def _resolutions(self, settings: TraceSettings) -> tuple[int, int]:
        """Of the edges, and of the curve of changes, which is never read at a larger one."""
        defaults = self.backbone.defaults
        resolution = settings.resolution or defaults.resolution
        emergence = settings.emergence_resolution or defaults.emergence_resolution or resolution
        if settings.timestep is not None or is_single_pass(self.backbone):
            emergence = resolution  # there is nothing to find
        return resolution, min(emergence, resolution)

    def _emergence_view(
        self, images: list[UInt8[np.ndarray, "_ _ 3"]], size: Size, settings: TraceSettings
    ) -> Float32[torch.Tensor, "b 3 H W"] | None:
        """The images at the size the KL curve is read at; None where that is the edges' own."""
        _, resolution = self._resolutions(settings)
        coarse = model_size(*size, resolution, self.backbone.multiple)
        if coarse == size:
            return None
        return next(shifted_views(images, coarse, self.backbone.cell, 1))[1]
