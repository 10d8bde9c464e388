from .detector import EdgeDetector as EdgeDetector
from .onnx import export_graph as export_graph
from .onnx import export_onnx as export_onnx
from .runtime import RuntimeDetector as RuntimeDetector
from .settings import DetectorSettings as DetectorSettings
from .settings import StudentSettings as StudentSettings
from .student import Student as Student
