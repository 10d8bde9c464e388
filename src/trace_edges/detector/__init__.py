"""One-step edges: a student of the training-free method at inference (section 3.4)."""

from trace_edges.detector.detector import EdgeDetector
from trace_edges.detector.onnx import export_onnx
from trace_edges.detector.settings import DetectorSettings
from trace_edges.detector.student import Student, StudentSettings

__all__ = ["DetectorSettings", "EdgeDetector", "Student", "StudentSettings", "export_onnx"]
