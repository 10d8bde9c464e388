"""`python -m benchmarks.ablation`: settings of the method compared on the same photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.common import plain_errors, progress
from trace_edges.cli.old_options import (
    NO_LOAD_OPTIONS,
    Null,
    Offload,
    Quantize,
    Revision,
    VaeTiling,
    load_options,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def ablation(
    plan: Annotated[Path, typer.Argument(help="YAML with the rows to compare.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the table, the plot, and what was computed so far.")
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder of photographs, in place of the plan's.")
    ] = None,
    ground_truth: Annotated[
        Path | None, typer.Option(help="Their ground truth, in place of the plan's.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, one thread each if several.", min=1)] = 1,
    null: Null = None,
    revision: Revision = None,
    quantize: Quantize = None,
    offload: Offload = False,
    vae_tiling: VaeTiling = False,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Compare settings: table.md, table.csv, plot.png and report.json; stop and go on at will.

    Options on how the backbone is loaded stand in place of those in the plan.
    """
    with plain_errors():
        from benchmarks.ablation import markdown, plan_length, read_plan, run_plan, write_report

        options = load_options(null, revision, quantize, offload, vae_tiling)
        given = {name: one for name, one in options.items() if one != NO_LOAD_OPTIONS[name]}
        asked = read_plan(plan, images, ground_truth, given)
        with progress(plan_length(asked), "photographs", hidden=quiet) as advance:
            result = run_plan(asked, out, workers, advance)
        files = write_report(result, out)
        if not quiet:
            typer.echo(markdown(result))
            typer.echo(", ".join(str(file) for file in files))


if __name__ == "__main__":
    app()
