"""What every method ends in: frozen, validated results on plain numpy, which show themselves."""

from trace_edges.results.calibration import Calibration
from trace_edges.results.edges import EdgeMap, Emergence, stack_edge_maps
from trace_edges.results.masks import GROUND, OBJECT, InstanceMasks
from trace_edges.results.panoptic import VOID, Category, PanopticMap, Segment

__all__ = [
    "GROUND",
    "OBJECT",
    "VOID",
    "Calibration",
    "Category",
    "EdgeMap",
    "Emergence",
    "InstanceMasks",
    "PanopticMap",
    "Segment",
    "stack_edge_maps",
]
