"""Settings of the method compared on the same photographs: one plan in, a table and a plot out."""

from trace_edges.ablation.plan import Plan, Row, read_plan
from trace_edges.ablation.report import markdown, write_report
from trace_edges.ablation.run import Ablation, RowResult, plan_length, run_plan

__all__ = [
    "Ablation",
    "Plan",
    "Row",
    "RowResult",
    "markdown",
    "plan_length",
    "read_plan",
    "run_plan",
    "write_report",
]
