"""One-step edges: a student distilled from the training-free teacher (section 3.4)."""

from trace_edges.detector.detector import DetectorSettings, EdgeDetector
from trace_edges.detector.distillation import distill
from trace_edges.detector.labels import LabelSettings
from trace_edges.detector.onnx import export_onnx
from trace_edges.detector.settings import CONFIGS, DistillationSettings
from trace_edges.detector.student import Student, StudentSettings

__all__ = [
    "CONFIGS",
    "DetectorSettings",
    "DistillationSettings",
    "EdgeDetector",
    "LabelSettings",
    "Student",
    "StudentSettings",
    "distill",
    "export_onnx",
]
