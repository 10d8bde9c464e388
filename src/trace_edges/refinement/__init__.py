"""Masks and semantic maps of others, refined by edges: files in, files of the same kind out."""

from trace_edges.refinement.classes import ClassTable, class_table, read_class_table
from trace_edges.refinement.coco import refine_coco
from trace_edges.refinement.images import EdgeFolder, ImageOutcome
from trace_edges.refinement.labels import refine_labels
from trace_edges.refinement.panoptic import panoptic_files

__all__ = [
    "ClassTable",
    "EdgeFolder",
    "ImageOutcome",
    "class_table",
    "panoptic_files",
    "read_class_table",
    "refine_coco",
    "refine_labels",
]
