"""The training-free way from an image to its instance edges (sections 3.1 to 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from trace_edges.backbones import EMBEDDED, DiffusionBackbone, load_backbone
from trace_edges.emergence import emergence_index
from trace_edges.images import ImageSource, load_image, load_images, model_size
from trace_edges.results import EdgeMap, Emergence
from trace_edges.surface import draw_edges
from trace_edges.trajectory import Step, Trajectory
from trace_edges.views import interleave, shifted_views
from trace_edges.walk import walk

Picture = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True)
class TraceSettings:
    """How the pipeline looks at an image.

    Attributes:
        resolution: sqrt(H * W) in pixels of what the model sees; the aspect is kept and both sides
            are rounded to whole cells. None: the backbone's own.
        refine: k: k x k views shifted by 1/k of a cell, interleaved. None: the backbone's own.
        trajectory: "inversion" (deterministic DDIM, the paper's) or "noise" (one fixed noise).
        timestep: read this step instead of the Instance Emergence Point; the steps behind it are
            not visited.
        stride: between the steps of the trajectory.
        seed: of the noise in the "noise" trajectory; inversion draws none.
        emergence_resolution: like `resolution`, for the KL curve. A smaller one finds t* in a
            fraction of the time; edges are then read at `resolution`, walking no further than to
            t*. One of at least `resolution` reads both there, as the paper does. None: the
            backbone's own.
    """

    resolution: int | None = None
    refine: int | None = None
    trajectory: Trajectory = "inversion"
    timestep: int | None = None
    stride: int = 100
    seed: int = 0
    emergence_resolution: int | None = None

    def __post_init__(self) -> None:
        for name in ("resolution", "refine", "stride", "emergence_resolution"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}")


class TraceEdgePipeline:
    """Instance edges from a diffusion model's self-attention, without training.

    Example:
        >>> pipe = TraceEdgePipeline.from_pretrained()
        >>> out = pipe("street.jpg")
        >>> out.edges.shape  # (1, H, W), in [0, 1], at the size of the input
    """

    def __init__(self, backbone: DiffusionBackbone) -> None:
        self.backbone = backbone

    @classmethod
    def from_pretrained(cls, name: str | Path = EMBEDDED, **options: Any) -> TraceEdgePipeline:
        """Load a backbone: the embedded trace-mini, a diffusers folder, or a hub id.

        Args:
            name: see `load_backbone`, as for `options` (dtype, device, revision,
                local_files_only).

        Raises:
            BackboneError: it cannot be found or is not supported.
        """
        return cls(load_backbone(name, **options))

    def to(self, device: str | torch.device) -> TraceEdgePipeline:
        """Move the model; returns itself."""
        self.backbone.to(device)
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
            on_step: called with every step that the KL curve is read from, while its attention is
                alive.
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
        return _stack(self._trace(pictures, chosen, on_step))

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
        return model_size(height, width, self._resolutions(settings)[0], self.backbone.cell)

    def describe(self, settings: TraceSettings) -> dict[str, Any]:
        """The settings with the backbone's own in place of None, as they stand in results."""
        defaults = self.backbone.defaults
        resolution, emergence_resolution = self._resolutions(settings)
        return asdict(settings) | {
            "backbone": self.backbone.name,
            "dtype": str(self.backbone.dtype).removeprefix("torch."),
            "resolution": resolution,
            "refine": settings.refine or defaults.refine,
            "half_edge": defaults.half_edge,
            "emergence_resolution": emergence_resolution,
        }

    def _resolutions(self, settings: TraceSettings) -> tuple[int, int]:
        """Of the edges, and of the KL curve, which is never read at a larger one."""
        defaults = self.backbone.defaults
        resolution = settings.resolution or defaults.resolution
        emergence = settings.emergence_resolution or defaults.emergence_resolution or resolution
        if settings.timestep is not None:  # there is nothing to find
            emergence = resolution
        return resolution, min(emergence, resolution)

    def _trace(
        self,
        pictures: list[Picture],
        settings: TraceSettings,
        on_step: Callable[[Step], None] | None = None,
    ) -> list[EdgeMap]:
        """The method, on pictures that the model sees at one size."""
        backbone = self.backbone
        refine = settings.refine or backbone.defaults.refine
        size = self.model_size(pictures[0], settings)
        views = shifted_views(pictures, size, backbone.cell, refine)
        look = partial(walk, backbone, trajectory=settings.trajectory, seed=settings.seed)

        # 1. Walk the latents towards noise; read SA(X_t), its ABDiv, and KL to the step before.
        (shift, images), timesteps = next(views), self._timesteps(settings)
        coarse = self._emergence_view(pictures, size, settings)
        first = look(images if coarse is None else coarse, timesteps, on_step=on_step)

        # 2. The Instance Emergence Point t*: the step after the largest change, for each image.
        if settings.timestep is None:
            chosen = emergence_index(first.curve.numpy())  # (B,)
        else:
            chosen = np.full(len(pictures), timesteps.index(settings.timestep))
        visited = timesteps[: chosen.max() + 1]

        # 3. Where t* was found on a coarser grid, or a finer one is asked for: look again, at the
        # full size and from shifted views, no further than to t*.
        fine = first if coarse is None else look(images, visited)
        divergence = {shift: fine.divergence}  # shift -> (S, B, h, w)
        divergence |= {shift: look(images, visited).divergence for shift, images in views}

        # 4. ABDiv at t*, from the grid to the pixels of the input.
        results = []
        for index, picture in enumerate(pictures):
            step = chosen[index]
            raw = interleave({s: d[step, index].numpy() for s, d in divergence.items()}, refine)
            emergence = Emergence(
                np.array(first.timesteps),
                first.curve[index : index + 1].numpy(),
                np.array([first.timesteps[step]]),
            )
            results.append(self._edge_map(raw, picture, size, refine, emergence, settings))
        return results

    def _emergence_view(
        self, pictures: list[Picture], size: tuple[int, int], settings: TraceSettings
    ) -> Float32[torch.Tensor, "b 3 H W"] | None:
        """The pictures at the size the KL curve is read at; None where that is the edges' own."""
        _, resolution = self._resolutions(settings)
        coarse = model_size(*size, resolution, self.backbone.cell)
        if coarse == size:
            return None
        return next(shifted_views(pictures, coarse, self.backbone.cell, 1))[1]

    def _timesteps(self, settings: TraceSettings) -> tuple[int, ...]:
        steps = self.backbone.schedule.timesteps(settings.stride)
        if settings.timestep is None:
            if len(steps) < 2:
                raise ValueError(f"stride {settings.stride} leaves no second step to compare with")
            return steps
        last = len(self.backbone.schedule.alphas_cumprod) - 1
        if not 0 <= settings.timestep <= last:
            raise ValueError(f"timestep {settings.timestep} is outside 0 .. {last}")
        if settings.trajectory == "noise":
            return (settings.timestep,)
        return (*(step for step in steps if step < settings.timestep), settings.timestep)

    def _edge_map(
        self,
        raw: Float32[np.ndarray, "gh gw"],
        picture: Picture,
        size: tuple[int, int],
        refine: int,
        emergence: Emergence,
        settings: TraceSettings,
    ) -> EdgeMap:
        height, width, _ = picture.shape
        edges, crests = draw_edges(raw, (height, width), refine, self.backbone.defaults.half_edge)
        made_with = self.describe(settings) | {"model_size": list(size), "grid": list(raw.shape)}
        return EdgeMap(edges[None], crests[None], raw[None], emergence, made_with)


def _stack(results: list[EdgeMap]) -> EdgeMap:
    """One EdgeMap of N images from N of one."""
    points = [result.emergence for result in results]
    emergence = Emergence(
        points[0].timesteps,
        np.concatenate([point.curve for point in points]),
        np.concatenate([point.timestep for point in points]),
    )
    return EdgeMap(
        np.concatenate([result.edges for result in results]),
        np.concatenate([result.crests for result in results]),
        np.concatenate([result.raw for result in results]),
        emergence,
        results[0].settings,
    )
