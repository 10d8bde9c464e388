"""The training-free method (sections 3.1 to 3.3)."""

from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.settings import TraceSettings

__all__ = ["TraceEdgePipeline", "TraceSettings"]
