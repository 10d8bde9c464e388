"""Scores of edges, masks and panoptic maps against ground truth."""

from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.counts import EdgeTruth
from trace_edges.metrics.edges import EdgeScores, evaluate_edges
from trace_edges.metrics.masks import MaskScores, evaluate_masks
from trace_edges.metrics.panoptic_files import PanopticScores, evaluate_panoptic
from trace_edges.metrics.protocol import EdgeProtocol

__all__ = [
    "EdgeProtocol",
    "EdgeScores",
    "EdgeTruth",
    "MaskScores",
    "PanopticScores",
    "boundaries_from_labels",
    "evaluate_edges",
    "evaluate_masks",
    "evaluate_panoptic",
]
