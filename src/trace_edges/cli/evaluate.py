"""`trace-edges evaluate`: scores, and checks of ground truth."""

from __future__ import annotations

import typer

from trace_edges.cli.evaluate_edges import edges
from trace_edges.cli.evaluate_masks import masks
from trace_edges.cli.evaluate_panoptic import panoptic
from trace_edges.cli.evaluate_truth import boundaries, check, voc_instances

evaluate = typer.Typer(
    name="evaluate",
    help="Score edges, masks or panoptic maps against ground truth; check ground truth.",
    no_args_is_help=True,
)
evaluate.command()(edges)
evaluate.command()(masks)
evaluate.command()(panoptic)
evaluate.command()(check)
evaluate.command()(boundaries)
evaluate.command("voc-instances")(voc_instances)
