"""Scores of edges against ground truth."""

from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.edges import EdgeProtocol, EdgeScores, evaluate_edges

__all__ = ["EdgeProtocol", "EdgeScores", "boundaries_from_labels", "evaluate_edges"]
