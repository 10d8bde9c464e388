"""`trace-edges detect`: edges of image files into a folder."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from trace_edges.cli.common import console, error, plain_errors, progress
from trace_edges.cli.options import (
    Backbone,
    Device,
    DType,
    EmergenceResolution,
    Format,
    Path_,
    Refine,
    Resolution,
    Seed,
    Stride,
    Timestep,
    Trajectory,
    Weights,
    load_pipeline,
)

_TABLE_ROWS = 30


def detect(
    inputs: Annotated[list[str], typer.Argument(help="Image files, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    backbone: Backbone = "trace-mini",
    resolution: Resolution = None,
    refine: Refine = None,
    trajectory: Path_ = Trajectory.inversion,
    timestep: Timestep = None,
    stride: Stride = 100,
    seed: Seed = 0,
    emergence_resolution: EmergenceResolution = None,
    device: Device = "auto",
    dtype: Weights = DType.float32,
    batch_size: Annotated[int, typer.Option(help="Images of one size per pass.", min=1)] = 1,
    format: Annotated[Format, typer.Option(help="Of NAME.edges.")] = Format.png,
    soft: Annotated[bool, typer.Option("--soft", help="Smooth map instead of thin lines.")] = False,
    recursive: Annotated[bool, typer.Option(help="Search folders below folders.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Make again what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per image.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Detect instance edges: NAME.edges.png, NAME.overlay.png and NAME.json for every image."""
    with plain_errors():
        from trace_edges.detection import OutputOptions, detect_files
        from trace_edges.files import find_images, output_names
        from trace_edges.pipeline import TraceSettings

        found = find_images(inputs, recursive)
        for problem in found.problems:
            error(str(problem))
        settings = TraceSettings(
            resolution, refine, trajectory.value, timestep, stride, seed, emergence_resolution
        )
        output = OutputOptions(out, format.value, "soft" if soft else "thin", overwrite)
        pipe = load_pipeline(backbone, device, dtype)
        outcomes = []
        with progress(len(found.images), "edges", hidden=quiet or as_json) as advance:
            names = output_names(found.images)
            for outcome in detect_files(pipe, names, output, settings, batch_size):
                outcomes.append(outcome)
                advance()
                if outcome.message:
                    error(outcome.message, outcome.image if outcome.state == "skipped" else None)
                if as_json:
                    typer.echo(json.dumps(asdict(outcome), default=str))
        if not quiet and not as_json:
            _print_table(outcomes, out)
        if found.problems or any(outcome.state == "failed" for outcome in outcomes):
            raise typer.Exit(1)


def _print_table(outcomes: list[Any], out: Path) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("image", "size", "t*", "seconds", "edges"):
        table.add_column(
            column, justify="right" if column in ("t*", "seconds") else "left", overflow="fold"
        )
    done = [outcome.record for outcome in outcomes if outcome.state == "done"]
    for record in done[:_TABLE_ROWS]:
        table.add_row(
            escape(record["image"]),
            f"{record['width']} x {record['height']}",
            str(record["timestep"]),
            f"{record['seconds']:.1f}",
            escape(str(out / record["edges"])),
        )
    if done:
        console.print(table)
    if len(done) > _TABLE_ROWS:
        console.print(f"... and {len(done) - _TABLE_ROWS} more in {escape(str(out))}")
    states = Counter(outcome.state for outcome in outcomes)
    console.print(", ".join(f"{states[state]} {state}" for state in ("done", "skipped", "failed")))
