"""Edge maps in folders, scored side by side: what `trace-edges evaluate edges` does."""

from trace_edges.evaluation.edges import EdgeEvaluation, Problem, evaluate_edge_folders
from trace_edges.evaluation.report import write_report
from trace_edges.evaluation.truth import edge_truth

__all__ = ["EdgeEvaluation", "Problem", "edge_truth", "evaluate_edge_folders", "write_report"]
