"""`python -m benchmarks.ablation`: settings of the method compared on the same photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks._shared.reports import guarded
from trace_edges.cli.common import progress
from trace_edges.cli.fields import Fields, command
from trace_edges.loading import LoadOptions

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@command
def ablation(
    plan: Annotated[Path, typer.Argument(help="YAML with the rows to compare.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the table, the plot, and what was computed so far.")
    ],
    load: Annotated[LoadOptions, Fields("Loading, in place of the plan's")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of photographs, in place of the plan's.")
    ] = None,
    ground_truth: Annotated[
        Path | None, typer.Option(help="Their ground truth, in place of the plan's.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, one thread each if several.", min=1)] = 1,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Compare settings: table.md, table.csv, plot.png and report.json; stop and go on at will."""
    from benchmarks.ablation import markdown, plan_length, read_plan, run_plan, write_report

    unset = vars(LoadOptions())
    given = {name: one for name, one in vars(load).items() if one != unset[name]}
    asked = read_plan(plan, images, ground_truth, given)
    with progress(plan_length(asked), "photographs", hidden=quiet) as advance:
        result = run_plan(asked, out, workers, advance)
    files = write_report(result, out)
    if not quiet:
        typer.echo(markdown(result))
        typer.echo(", ".join(str(file) for file in files))


if __name__ == "__main__":
    guarded(app)
