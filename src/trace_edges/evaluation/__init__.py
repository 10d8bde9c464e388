"""Files and folders scored: what `trace-edges evaluate` does."""

from trace_edges.evaluation.edges import EdgeEvaluation, Problem, edge_truth, evaluate_edge_folders
from trace_edges.evaluation.masks import evaluate_masks
from trace_edges.evaluation.panoptic import evaluate_panoptic
from trace_edges.evaluation.report import write_report

__all__ = [
    "EdgeEvaluation",
    "Problem",
    "edge_truth",
    "evaluate_edge_folders",
    "evaluate_masks",
    "evaluate_panoptic",
    "write_report",
]
