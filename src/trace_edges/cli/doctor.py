"""`trace-edges doctor`: whether the package works on this machine, for a bug report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import Reporting


@command
def doctor(
    reporting: Annotated[Reporting, Fields(leave_out=("quiet",))],
    device: Annotated[
        str, typer.Option(help="Device to check, such as cuda:1; auto takes an accelerator if any.")
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="JSON file for the full report, with tracebacks.", dir_okay=False),
    ] = None,
) -> None:
    """Check whether the package works on this machine; paste the output into a bug report.

    The report has the versions, devices and caches, compares the kernels with PyTorch, and compares
    the embedded model on the device with the CPU. The exit code is 1 if something is broken.

    Example: trace-edges doctor --device cuda:1
    """
    from trace_edges.doctor import CHECKS, examine
    from trace_edges.files import write_json

    sections = []
    for section in examine(CHECKS, device):
        sections.append(section)
        if not reporting.json:
            typer.echo(section.as_text())
    broken = [one.subject for part in sections for one in part.findings if one.state == "broken"]
    report = {"broken": broken, "sections": [one.as_json() for one in sections]}
    if out is not None:
        write_json(report, out)
    if reporting.json:
        typer.echo(json.dumps(report))
    else:
        typer.echo(f"broken: {', '.join(broken)}" if broken else "nothing is broken")
    if broken:
        raise typer.Exit(1)
