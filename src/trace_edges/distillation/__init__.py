"""How a detector is trained (section 3.4)."""

from trace_edges.distillation.labels import LabelSettings
from trace_edges.distillation.run import distill
from trace_edges.distillation.settings import CONFIGS, DistillationSettings

__all__ = ["CONFIGS", "DistillationSettings", "LabelSettings", "distill"]
