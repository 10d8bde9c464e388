"""The models behind the page, each loaded when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

from trace_edges.edge_model import EMBEDDED, EdgeModel, Loading
from trace_edges.training_free.pipeline import TraceEdgePipeline


@dataclass(frozen=True, eq=False)
class Models:
    """What the page reads images with; people who look at it share them.

    Attributes:
        detector: of the edges in one step.
        backbone: whose attention is read.
        loading: how and where they are loaded.
    """

    detector: str = EMBEDDED
    backbone: str = EMBEDDED
    loading: Loading = field(default_factory=Loading)
    _lock: Any = field(default_factory=Lock, repr=False)

    def one_step(self) -> Any:
        """The detector.

        Raises:
            BackboneError: it cannot be found, or is not supported.
        """
        with self._lock:
            return self._one_step

    def pipe(self) -> TraceEdgePipeline:
        """The training-free pipeline; errors as above."""
        with self._lock:
            return self._pipe

    def generator(self) -> tuple[Any, Any]:
        """The backbone with its text encoders, as `load_generator` gives it.

        Raises:
            BackboneError: it has none, and can follow no prompt.
        """
        with self._lock:
            return self._generator

    @cached_property
    def _one_step(self) -> Any:
        # Options such as --quantize are of the backbone; a detector brings its own.
        own = Loading(device=self.loading.device, dtype=self.loading.dtype)
        return EdgeModel(name=self.detector, loading=own).load()

    @cached_property
    def _pipe(self) -> TraceEdgePipeline:
        return self.loading.load_pipeline(self.backbone)

    @cached_property
    def _generator(self) -> tuple[Any, Any]:
        from trace_edges.explain import load_generator

        options = {k: v for k, v in self.loading.of_diffusion.items() if k != "null"}
        return load_generator(self.backbone, **self.loading.placement, **options)
