"""Readers of ground truth, and what may be wrong with it."""

from trace_edges.datasets.checks import check_ground_truth
from trace_edges.datasets.findings import Finding, GroundTruthError
from trace_edges.datasets.ground_truth import KINDS, open_ground_truth
from trace_edges.datasets.segments import GroundTruth, Segments
from trace_edges.datasets.voc import voc_instances

__all__ = [
    "KINDS",
    "Finding",
    "GroundTruth",
    "GroundTruthError",
    "Segments",
    "check_ground_truth",
    "open_ground_truth",
    "voc_instances",
]
