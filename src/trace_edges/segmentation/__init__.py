"""From edges to instances and panoptic maps (section 3.5), and sources of masks."""

from trace_edges.segmentation.affinity import (
    attention_affinity,
    centred_affinity,
    feature_affinity,
)
from trace_edges.segmentation.bgp import Propagation, propagate
from trace_edges.segmentation.crf import snap_to_colours
from trace_edges.segmentation.fragments import Attachment, attach_fragments
from trace_edges.segmentation.grids import instances_from_grid
from trace_edges.segmentation.hierarchy import Hierarchy, build_hierarchy, contours
from trace_edges.segmentation.instances import refine_instances
from trace_edges.segmentation.maskcut import maskcut
from trace_edges.segmentation.merging import merge_overlapping
from trace_edges.segmentation.promerge import promerge
from trace_edges.segmentation.regions import (
    instances_at,
    instances_from_edges,
    instances_of_count,
    proposals,
)
from trace_edges.segmentation.seeds import Seeds, seeds_from_edges, seeds_from_masks
from trace_edges.segmentation.semantic import panoptic_from_semantic

__all__ = [
    "Attachment",
    "Hierarchy",
    "Propagation",
    "Seeds",
    "attach_fragments",
    "attention_affinity",
    "build_hierarchy",
    "centred_affinity",
    "contours",
    "feature_affinity",
    "instances_at",
    "instances_from_edges",
    "instances_from_grid",
    "instances_of_count",
    "maskcut",
    "merge_overlapping",
    "panoptic_from_semantic",
    "promerge",
    "propagate",
    "proposals",
    "refine_instances",
    "seeds_from_edges",
    "seeds_from_masks",
    "snap_to_colours",
]
