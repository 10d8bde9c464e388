"""The training-free way from an image to its instance edges (sections 3.1 to 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from trace_edges.backbones import (
    EMBEDDED,
    Backbone,
    BackboneError,
    DiffusionBackbone,
    explained_memory,
    open_backbone,
)
from trace_edges.images import ImageSource, load_image, load_images, model_size
from trace_edges.results import EdgeMap, Emergence, stack_edge_maps
from trace_edges.training_free.emergence import emergence_index
from trace_edges.training_free.ridges import draw_edges
from trace_edges.training_free.settings import TraceSettings
from trace_edges.training_free.shifts import interleave, shifted_views
from trace_edges.training_free.steps import OF_TRAJECTORY, looks_once, visited_steps
from trace_edges.training_free.trajectory import Step
from trace_edges.training_free.walk import Walk, walk

Picture = UInt8[np.ndarray, "_ _ 3"]


class TraceEdgePipeline:
    """Instance edges from a diffusion model's self-attention, without training.

    Example:
        >>> pipe = TraceEdgePipeline.from_pretrained()
        >>> out = pipe("street.jpg")
        >>> out.edges.shape  # (1, H, W), in [0, 1], at the size of the input
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    @classmethod
    def from_pretrained(cls, name: str | Path = EMBEDDED, **options: Any) -> TraceEdgePipeline:
        """Load a backbone: the embedded trace-mini, one with a name ("sd3.5-large", "dinov2-base"),
        a folder, or a hub id.

        Args:
            name: see `open_backbone`, as for `options` (dtype, device, revision,
                local_files_only, variant, null, quantize).

        Raises:
            BackboneError: it cannot be found or is not supported.
        """
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
        self.backbone.vae.enable_tiling()
        self.backbone.loaded_with["vae_tiling"] = True
        return self

    def __call__(
        self,
        images: ImageSource | list[Any],
        settings: TraceSettings | None = None,
        *,
        on_step: Callable[[Step], None] | None = None,
        **changes: Any,
    ) -> EdgeMap:
        """Edges of one image, or of several images of one size.

        Args:
            images: a path, bytes, PIL image, array or tensor, a list of them, or a batch.
            settings: see `TraceSettings`.
            on_step: called with every step that the curve of changes is read from, while its
                attention is alive.
            changes: single settings by name, for instance `resolution=512`.

        Returns:
            One EdgeMap of N images, at their size.

        Raises:
            ImageError: an image cannot be read or used.
            ValueError: the images have several sizes (use `each`), or a setting does not fit.
        """
        pictures = load_images(images)
        sizes = {picture.shape[:2] for picture in pictures}
        if len(sizes) > 1:
            raise ValueError(
                f"the images have {len(sizes)} sizes and fit no single array; "
                "iterate over pipe.each(images) instead"
            )
        chosen = replace(settings or TraceSettings(), **changes)
        return stack_edge_maps(self._trace(pictures, chosen, on_step))

    def each(
        self,
        images: Iterable[ImageSource],
        settings: TraceSettings | None = None,
        batch_size: int = 1,
        **changes: Any,
    ) -> Iterator[EdgeMap]:
        """Edges of any number of images of any sizes: one EdgeMap (N = 1) after the other.

        Images are read when their turn comes. Up to `batch_size` neighbours that the model sees at
        one size share a pass.
        """
        chosen = replace(settings or TraceSettings(), **changes)
        pictures = (load_image(image) for image in images)
        for _, alike in groupby(pictures, key=lambda picture: self.model_size(picture, chosen)):
            while batch := list(islice(alike, batch_size)):
                yield from self._trace(batch, chosen)

    def model_size(self, picture: Picture, settings: TraceSettings) -> tuple[int, int]:
        """(H, W) in pixels at which the model looks at this picture for its edges."""
        height, width, _ = picture.shape
        return model_size(height, width, self._resolutions(settings)[0], self.backbone.multiple)

    @property
    def looks_once(self) -> bool:
        """The backbone knows no noise: one pass, no trajectory, no emergence."""
        return looks_once(self.backbone)

    def describe(self, settings: TraceSettings) -> dict[str, Any]:
        """The settings with the backbone's own in place of None, as they stand in results."""
        defaults = self.backbone.defaults
        resolution, emergence_resolution = self._resolutions(settings)
        layers = None if settings.layers is None else list(settings.layers)
        described = asdict(settings) | {
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
        if self.looks_once:
            described |= {"method": "encoder", **dict.fromkeys(OF_TRAJECTORY)}
        return described

    def _resolutions(self, settings: TraceSettings) -> tuple[int, int]:
        """Of the edges, and of the curve of changes, which is never read at a larger one."""
        defaults = self.backbone.defaults
        resolution = settings.resolution or defaults.resolution
        emergence = settings.emergence_resolution or defaults.emergence_resolution or resolution
        if settings.timestep is not None or self.looks_once:  # there is nothing to find
            emergence = resolution
        return resolution, min(emergence, resolution)

    def look(
        self,
        images: Float32[torch.Tensor, "b 3 H W"],
        timesteps: tuple[int, ...],
        settings: TraceSettings,
        on_step: Callable[[Step], None] | None = None,
        start: int = 0,
    ) -> Walk:
        """Walk one view of the pictures through `timesteps`, read as the settings say from the
        `start`-th step on.
        """
        return walk(
            self.backbone.reading(settings.layers), images, timesteps,
            settings.trajectory, settings.seed,
            start=start, criterion=settings.criterion, on_step=on_step, **settings.divergence,
        )  # fmt: skip

    def read(
        self,
        pictures: list[Picture],
        settings: TraceSettings,
        on_step: Callable[[Step], None] | None = None,
    ) -> list[tuple[Float32[np.ndarray, "gh gw"], Emergence]]:
        """ABDiv at t* on the attention grid, and how t* was found, of pictures that the model sees
        at one size: everything but the drawing.
        """
        subcell = settings.subcell or self.backbone.defaults.subcell
        size = self.model_size(pictures[0], settings)
        views = shifted_views(pictures, size, self.backbone.cell, subcell)

        # 1. Walk the latents towards noise; read SA(X_t), its ABDiv, and the change (KL) since the
        # step before.
        (shift, images), timesteps = next(views), self.timesteps(settings)
        coarse = self._emergence_view(pictures, size, settings)
        first = self.look(images if coarse is None else coarse, timesteps, settings, on_step)

        # 2. The Instance Emergence Point t*: the step after the largest change, for each image.
        if settings.timestep is None and not self.looks_once:
            chosen = emergence_index(first.curve.numpy(), first=settings.ignore_first)  # (B,)
        else:
            chosen = np.full(len(pictures), timesteps.index(settings.timestep or 0))

        # 3. Where t* was found on a coarser grid, or a finer one is asked for: look again, at the
        # full size and from shifted views, no further than to t*.
        start, stop = int(chosen.min()), int(chosen.max()) + 1
        again = partial(self.look, timesteps=timesteps[:stop], settings=settings, start=start)
        divergence = first.divergence[start:stop] if coarse is None else again(images).divergence
        views_of = {shift: divergence}  # shift -> (S', B, h, w), of the steps from the first t* on
        views_of |= {shift: again(images).divergence for shift, images in views}

        results = []
        for index, step in enumerate(chosen):
            at = step - start
            raw = interleave({s: d[at, index].numpy() for s, d in views_of.items()}, subcell)
            emergence = Emergence(
                np.array(first.timesteps),
                first.curve[index : index + 1].numpy(),
                np.array([first.timesteps[step]]),
            )
            results.append((raw, emergence))
        return results

    def _trace(
        self,
        pictures: list[Picture],
        settings: TraceSettings,
        on_step: Callable[[Step], None] | None = None,
    ) -> list[EdgeMap]:
        """The method, on pictures that the model sees at one size."""
        size = self.model_size(pictures[0], settings)
        with explained_memory(self.backbone, size, len(pictures)):
            readings = self.read(pictures, settings, on_step)
        # 4. ABDiv at t*, from the grid to the pixels of the input.
        return [
            self._edge_map(raw, picture, emergence, settings)
            for picture, (raw, emergence) in zip(pictures, readings, strict=True)
        ]

    def _emergence_view(
        self, pictures: list[Picture], size: tuple[int, int], settings: TraceSettings
    ) -> Float32[torch.Tensor, "b 3 H W"] | None:
        """The pictures at the size the KL curve is read at; None where that is the edges' own."""
        _, resolution = self._resolutions(settings)
        coarse = model_size(*size, resolution, self.backbone.multiple)
        if coarse == size:
            return None
        return next(shifted_views(pictures, coarse, self.backbone.cell, 1))[1]

    def timesteps(self, settings: TraceSettings) -> tuple[int, ...]:
        """The steps of the trajectory, ascending, up to the one that was asked for.

        Raises:
            ValueError: as `visited_steps`.
        """
        return visited_steps(self.backbone, settings)

    def _edge_map(
        self,
        raw: Float32[np.ndarray, "gh gw"],
        picture: Picture,
        emergence: Emergence,
        settings: TraceSettings,
    ) -> EdgeMap:
        height, width, _ = picture.shape
        described, size = self.describe(settings), self.model_size(picture, settings)
        half_edge = described["half_edge"]
        edges, ridges = draw_edges(raw, (height, width), described["subcell"], half_edge)
        made_with = described | {"model_size": list(size), "grid": list(raw.shape)}
        return EdgeMap(edges[None], ridges[None], raw[None], emergence, made_with)
