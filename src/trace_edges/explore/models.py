"""The models behind the page, each loaded when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from trace_edges.backbones.checkpoints import EMBEDDED, PIXELS
from trace_edges.edge_model import EdgeModel
from trace_edges.loading import Loading
from trace_edges.training_free.pipeline import TraceEdgePipeline


@dataclass(frozen=True, eq=False)
class Models:
    """What the page reads images with; people who look at it share them.

    All work with a model stands in one queue of the page, so that none is loaded twice.

    Attributes:
        detector: of the edges in one step.
        backbone: whose attention is read.
        loading: how and where they are loaded.
    """

    detector: str = PIXELS
    backbone: str = EMBEDDED
    loading: Loading = field(default_factory=Loading)

    @cached_property
    def one_step(self) -> Any:
        """The detector.

        Raises:
            BackboneError: it cannot be found, or is not supported.
        """
        # Options such as --quantize are of the backbone; a detector brings its own.
        own = Loading(device=self.loading.device, dtype=self.loading.dtype)
        return EdgeModel(name=self.detector, loading=own).load()

    @cached_property
    def pipe(self) -> TraceEdgePipeline:
        """The training-free pipeline; errors as above."""
        return self.loading.load_pipeline(self.backbone)

    @cached_property
    def generator(self) -> tuple[Any, Any]:
        """The backbone with its text encoders, as `load_generator` gives it.

        Raises:
            BackboneError: it has none, and can follow no prompt.
        """
        from trace_edges.explain import load_generator

        options = {k: v for k, v in self.loading.of_diffusion.items() if k != "null"}
        return load_generator(self.backbone, **self.loading.placement, **options)
