"""`trace-edges explain`: one sheet that shows the method at work on an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.common import plain_errors
from trace_edges.cli.options import (
    Backbone,
    Device,
    DType,
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


def explain(
    image: Annotated[Path, typer.Argument(help="One image.")],
    out: Annotated[Path, typer.Option(help="Picture to write (PNG, JPEG, ...).")] = Path(
        "explain.png"
    ),
    backbone: Backbone = "trace-mini",
    resolution: Resolution = None,
    refine: Refine = None,
    trajectory: Path_ = Trajectory.inversion,
    timestep: Timestep = None,
    stride: Stride = 100,
    seed: Seed = 0,
    device: Device = "auto",
    dtype: Weights = DType.float32,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Draw one sheet: self-attention and ABDiv at every step, the KL curve with t*, the edges."""
    with plain_errors():
        from trace_edges.explain import explain as draw
        from trace_edges.files import write_atomically
        from trace_edges.images import load_image
        from trace_edges.pipeline import TraceSettings

        picture = load_image(image)
        settings = TraceSettings(resolution, refine, trajectory.value, timestep, stride, seed)
        sheet, result = draw(load_pipeline(backbone, device, dtype), picture, settings)
        with write_atomically(out) as temporary:
            sheet.save(temporary)
        if not quiet:
            typer.echo(f"{out}: t* = {int(result.emergence.timestep[0])}")
