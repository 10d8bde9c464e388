"""`trace-edges detect`: edges of image files into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from trace_edges.cli.common import (
    error,
    follow,
    image_cell,
    plain_errors,
    print_outcomes,
    progress,
    seconds_cell,
    size_cell,
)
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

_COLUMNS = {
    "image": image_cell,
    "size": size_cell,
    "t*": lambda record: str(record["timestep"]),
    "seconds": seconds_cell,
}


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
        with progress(len(found.images), "edges", hidden=quiet or as_json) as advance:
            names = output_names(found.images)
            done = detect_files(pipe, names, output, settings, batch_size)
            outcomes = follow(done, advance, as_json)
        if not quiet and not as_json:
            columns = _COLUMNS | {"edges": lambda record: escape(str(out / record["edges"]))}
            print_outcomes(outcomes, columns, ("image", "size", "edges"), out)
        if found.problems or any(outcome.state == "failed" for outcome in outcomes):
            raise typer.Exit(1)
