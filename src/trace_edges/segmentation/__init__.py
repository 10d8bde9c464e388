"""From edges to instances and panoptic maps (section 3.5)."""

from trace_edges.segmentation.bgp import Propagation, propagate
from trace_edges.segmentation.fragments import Attachment, attach_fragments
from trace_edges.segmentation.instances import refine_instances
from trace_edges.segmentation.merging import merge_overlapping
from trace_edges.segmentation.semantic import panoptic_from_semantic

__all__ = [
    "Attachment",
    "Propagation",
    "attach_fragments",
    "merge_overlapping",
    "panoptic_from_semantic",
    "propagate",
    "refine_instances",
]
