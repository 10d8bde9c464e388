"""`trace-edges doctor`: whether the package works on this machine, for a bug report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.fields import command


@command
def doctor(
    device: Annotated[
        str, typer.Option(help="cpu, cuda, mps, ...; auto takes an accelerator if there is one.")
    ] = "auto",
    json: Annotated[
        Path | None, typer.Option(help="File for all of it, with tracebacks.", dir_okay=False)
    ] = None,
) -> None:
    """Check this machine and print what a bug report should hold.

    Versions, devices, caches, the kernels against PyTorch, and the embedded model on the device
    against the CPU. Exits with 1 if something is broken.
    """
    from trace_edges.doctor import CHECKS, examine
    from trace_edges.files import write_json

    sections = []
    for section in examine(CHECKS, device):
        sections.append(section)
        typer.echo(section.as_text())
    broken = [one.subject for part in sections for one in part.findings if one.state == "broken"]
    if json is not None:
        write_json({"broken": broken, "sections": [one.as_json() for one in sections]}, json)
    typer.echo(f"broken: {', '.join(broken)}" if broken else "nothing is broken")
    if broken:
        raise typer.Exit(1)
