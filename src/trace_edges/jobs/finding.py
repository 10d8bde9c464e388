"""The instances of one image: of its edges alone, or of a generator cut at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from trace_edges.images import model_size, resize_image, to_tensor
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.candidates import TOP_K, candidates_from_edges
from trace_edges.instances.components import Origin, cut_pixels
from trace_edges.instances.dividing import open_lines
from trace_edges.instances.grids import (
    attention_affinity,
    centred_affinity,
    feature_affinity,
    instances_from_grid,
)
from trace_edges.instances.hierarchy import build_hierarchy
from trace_edges.instances.maskcut import maskcut
from trace_edges.instances.promerge import promerge
from trace_edges.instances.refine import refine_instances
from trace_edges.instances.regions import instances_at, instances_of_count, is_ground
from trace_edges.jobs.choices import Selection
from trace_edges.jobs.task import Subject, TaskError
from trace_edges.results import GROUND, OBJECT, InstanceMasks
from trace_edges.sources import Step
from trace_edges.training_free.settings import TraceSettings, attention_only

if TYPE_CHECKING:  # PyTorch takes seconds to import, and wrong options are told before
    from trace_edges.backbones.encoders.encoder import EncoderBackbone
    from trace_edges.training_free.pipeline import TraceEdgePipeline

RGB = UInt8[np.ndarray, "h w 3"]

_ENCODER_RESOLUTION = 480  # px, as MaskCut and ProMerge read their images
_MOST_EDGES = 0.5  # of an image: drawn boundaries are a few percent
_SEEDS = 16  # of ProMerge along a side, whatever the grid


@dataclass(frozen=True, eq=False)
class Found:
    """The instances of an image.

    Attributes:
        instances: their masks.
        timestep: the step whose attention they were found on, if one was read beside the edges.
        facts: what else is recorded of the image, plain JSON values.
        class_scores: how sure the class of each instance is, where a model named them.
        notes: what the report says of the image.
    """

    instances: InstanceMasks
    timestep: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    class_scores: Sequence[float] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Regions:
    """Finds the regions that the edges of an image close.

    Attributes:
        selection: which of them.
        origin: what drew the edges, which decides how strong they are.
    """

    selection: Selection = field(default_factory=Selection)
    origin: Origin = "image-alone"
    wants_image = False
    wants_attention = False

    @property
    def classes(self) -> tuple[str, ...]:
        """As its masks are called."""
        return (OBJECT, GROUND) if self.selection.ground == "mark" else (OBJECT,)

    def describe(self) -> dict[str, Any]:
        """Lists all that the result depends on, plain JSON values."""
        return self.selection.described(self.origin)

    def __call__(self, subject: Subject) -> Found:
        """The regions.

        Raises:
            ValueError: the image has fewer regions than are asked for, or its edges are thin lines
                that enclose next to nothing.
        """
        chosen = self.selection
        tree = build_hierarchy(subject.smooth, blur=chosen.blur, origin=self.origin)
        strength = chosen.strengths(self.origin)
        if chosen.count is not None:
            found = instances_of_count(tree, chosen.count, min_area=chosen.min_area)
        elif strength is None:
            most, least = chosen.top_k or TOP_K, chosen.min_area
            found = candidates_from_edges(tree, top_k=most, min_area=least)
        else:
            found = instances_at(tree, strength, min_area=chosen.min_area)
            if not chosen.blur and open_lines(subject.smooth, tree.labels, np.min(strength)):
                raise ValueError(
                    f"its edges are thin lines with gaps, which enclose {len(found)} regions: give "
                    "a smooth map (detect --soft), or the best regions of the lines (--blur 2 "
                    "--find candidates)"
                )
        return Found(self._kept(found))

    def _kept(self, found: InstanceMasks) -> InstanceMasks:
        """The masks that the scores, their number and their place leave, in their order."""
        chosen, ground = self.selection, is_ground(found, self.selection.max_area)
        kept = found.scores >= chosen.min_score
        if chosen.ground == "mark":
            found = found.named(np.where(ground, GROUND, OBJECT))
        elif chosen.ground == "remove":
            kept &= ~ground
        if chosen.top_k is not None:
            ranked = np.flatnonzero(kept)[np.argsort(-found.scores[kept], kind="stable")]
            kept[ranked[chosen.top_k :]] = False
        return found[kept]


@dataclass(frozen=True, eq=False)
class Generated:
    """Finds masks by MaskCut or ProMerge, cuts them at the edges and merges them.

    They read the keys of `encoder`; without one the self-attention of a diffusion model at t*.

    Attributes:
        generator: "maskcut" or "promerge".
        encoder: a ViT.
        pipe, settings: what gives attention where the edges come from something else.
        propagation, iou: see `refine_instances`.
        crf: outlines of the masks snap to the colours of the image first (needs pydensecrf2).
    """

    generator: Literal["maskcut", "promerge"]
    encoder: EncoderBackbone | None = None
    pipe: TraceEdgePipeline | None = None
    settings: TraceSettings = field(default_factory=TraceSettings)
    propagation: Propagation = PROPAGATION
    iou: float = 0.5
    crf: bool = False
    wants_image = True
    classes = (OBJECT,)

    @property
    def wants_attention(self) -> bool:
        """The step that the edges are read from is the one that masks are found on."""
        return self.encoder is None and self.pipe is None

    def describe(self) -> dict[str, Any]:
        """Lists all that the result depends on, plain JSON values."""
        known = {} if self.pipe is None else self.pipe.describe(self.settings)
        if self.pipe is not None:
            known["attention_weights"] = self.pipe.fingerprint()
        encoder = None if self.encoder is None else self.encoder.name
        known |= {"encoder": encoder, "crf": self.crf, "iou": self.iou}
        if self.encoder is not None:
            known["encoder_weights"] = self.encoder.fingerprint()
        return known | {"propagation": asdict(self.propagation)}

    def __call__(self, subject: Subject) -> Found:
        """The masks.

        Raises:
            ValueError: the settings do not fit.
        """
        image = subject.image
        assert image is not None
        lines = cutting_lines(subject, self.propagation)
        cells, timestep = self._cells(image, subject)
        colours = image if self.crf else None
        masks = instances_from_grid(cells, (image.shape[0], image.shape[1]), colours)
        refined = refine_instances(
            masks, lines, propagation=self.propagation, iou=self.iou, split_parts=True
        )
        return Found(refined, timestep)

    def _cells(
        self, image: RGB, subject: Subject
    ) -> tuple[Bool[np.ndarray, "m gh gw"], int | None]:
        """Masks on a grid, and the step whose attention was read, if any was."""
        if self.encoder is not None:
            height, width, _ = image.shape
            size = model_size(height, width, _ENCODER_RESOLUTION, self.encoder.cell)
            keys = self.encoder.keys(to_tensor(resize_image(image, size))[None])
            features = keys[0].cpu().numpy()  # (h, w, c)
            affinity, grid = feature_affinity(features), features.shape[:2]
            if self.generator == "maskcut":
                return maskcut(affinity, grid), None
            return promerge(affinity, grid, stride=_stride(grid)), None
        step = self._step(image, subject)
        affinity = attention_affinity(step.attention[0].cpu().numpy())
        if self.generator == "maskcut":
            return maskcut(affinity, step.grid, threshold=0.6), step.timestep
        return promerge(
            centred_affinity(affinity), step.grid,
            stride=_stride(step.grid), threshold=0.05, max_background_likeness=0.4,
        ), step.timestep  # fmt: skip

    def _step(self, image: RGB, subject: Subject) -> Step:
        """The attention at t*, on the grid that t* is found on: a finer one is much larger."""
        if self.pipe is None:
            step = subject.reading.step
        else:
            coarse = attention_only(self.settings, self.pipe.describe(self.settings))
            prepared = self.pipe.prepare(image, coarse)
            (reading,) = self.pipe.read([prepared], coarse, attention=True)
            step = reading.step
        assert step is not None
        return step


def cutting_lines(subject: Subject, propagation: Propagation) -> Float32[np.ndarray, "h w"]:
    """The edges of an image that are to cut masks.

    Raises:
        TaskError: most of the image would count as an edge, as in a smooth map that is nowhere near
            0, and nothing would be cut.
    """
    thin = subject.thin
    share = cut_pixels(thin, propagation.cuts_from, propagation.hysteresis).mean()
    if share > _MOST_EDGES:
        raise TaskError(
            f"{share:.0%} of {subject.key} is edge at threshold {propagation.cuts_from}: give thin "
            "edges (detect without --soft), or a higher one"
        )
    return thin


def uncut(lines: Float32[np.ndarray, "h w"], propagation: Propagation) -> tuple[str, ...]:
    """The note of a result that no edge was strong enough to change."""
    if not lines.any() or lines.max() >= propagation.cuts_from:
        return ()
    return (f"no edge is as strong as the threshold {propagation.cuts_from:g}, so nothing was cut",)


def _stride(grid: tuple[int, int]) -> int:
    return max(1, round(sqrt(grid[0] * grid[1]) / _SEEDS))
