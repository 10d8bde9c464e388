"""Instances from edges: regions, masks cut at edges, panoptic maps (section 3.5)."""

from trace_edges.instances.bgp import Propagation
from trace_edges.instances.candidates import candidates_from_edges
from trace_edges.instances.dividing import propagate
from trace_edges.instances.fragments import Attachment, attach_fragments
from trace_edges.instances.grids import (
    attention_affinity,
    centred_affinity,
    feature_affinity,
    instances_from_grid,
    snap_to_colours,
)
from trace_edges.instances.hierarchy import Hierarchy, build_hierarchy, contours
from trace_edges.instances.lines import weigh_lines
from trace_edges.instances.maskcut import maskcut
from trace_edges.instances.panoptic import panoptic_from_semantic
from trace_edges.instances.promerge import promerge
from trace_edges.instances.refine import merge_overlapping, refine_instances
from trace_edges.instances.regions import instances_at, instances_from_edges, instances_of_count
from trace_edges.instances.seeds import Seeds, seeds_from_masks

__all__ = [
    "Attachment",
    "Hierarchy",
    "Propagation",
    "Seeds",
    "attach_fragments",
    "attention_affinity",
    "build_hierarchy",
    "candidates_from_edges",
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
    "refine_instances",
    "seeds_from_masks",
    "snap_to_colours",
    "weigh_lines",
]
