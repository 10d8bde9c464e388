"""Settings of the method compared on the same photographs: one plan in, a table and a plot out."""

from benchmarks.ablation.plan import Plan, Row, read_plan
from benchmarks.ablation.report import markdown, write_report
from benchmarks.ablation.run import Ablation, RowResult, plan_length, run_plan

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
