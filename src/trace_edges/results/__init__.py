"""What every way through the package ends in: frozen, validated results on plain numpy."""

from trace_edges.results.edges import EdgeMap, Emergence, stack_edge_maps
from trace_edges.results.masks import InstanceMasks
from trace_edges.results.panoptic import PanopticMap, Segment

__all__ = ["EdgeMap", "Emergence", "InstanceMasks", "PanopticMap", "Segment", "stack_edge_maps"]
