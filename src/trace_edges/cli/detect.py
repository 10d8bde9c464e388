"""`trace-edges detect`: edges of image files into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    Null,
    Offload,
    Path_,
    Quantize,
    Resolution,
    Revision,
    Seed,
    Shift,
    Stride,
    Subcell,
    Timestep,
    Trajectory,
    VaeTiling,
    Weights,
    load_detector,
    load_options,
)
from trace_edges.cli.training_free import EMBEDDED, TrainingFree, is_one_step

_COLUMNS = {
    "image": image_cell,
    "size": size_cell,
    "t*": lambda record: str(record["timestep"]),
    "seconds": seconds_cell,
}


def detect(
    inputs: Annotated[list[str], typer.Argument(help="Image files, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    training_free: Annotated[
        bool, typer.Option("--training-free", help="The teacher's way: slower, any backbone.")
    ] = False,
    detector: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a distilled detector. Default: trace-mini's."),
    ] = None,
    backbone: Backbone = EMBEDDED,
    resolution: Resolution = None,
    subcell: Subcell = None,
    trajectory: Path_ = Trajectory.inversion,
    timestep: Timestep = None,
    stride: Stride = 100,
    seed: Seed = 0,
    shift: Shift = 1.0,
    emergence_resolution: EmergenceResolution = None,
    device: Device = "auto",
    dtype: Weights = DType.float32,
    null: Null = None,
    revision: Revision = None,
    quantize: Quantize = None,
    offload: Offload = False,
    vae_tiling: VaeTiling = False,
    batch_size: Annotated[int, typer.Option(help="Images of one size per pass.", min=1)] = 1,
    format: Annotated[Format, typer.Option(help="Of NAME.edges.")] = Format.png,
    soft: Annotated[bool, typer.Option("--soft", help="Smooth map instead of thin lines.")] = False,
    recursive: Annotated[bool, typer.Option(help="Search folders below folders.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Make again what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per image.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Detect instance edges: NAME.edges.png, NAME.overlay.png and NAME.json for every image.

    In one step by a distilled detector, or with --training-free (which any --backbone but
    trace-mini implies) straight from the attention.
    """
    with plain_errors():
        from trace_edges.detector import DetectorSettings
        from trace_edges.files import find_images, output_names
        from trace_edges.jobs.detection import OutputOptions, detect_files

        found = find_images(inputs, recursive)
        for problem in found.problems:
            error(str(problem))
        way = TrainingFree(
            subcell=subcell, trajectory=trajectory, timestep=timestep, stride=stride, seed=seed,
            shift=shift, emergence_resolution=emergence_resolution,
            loaded=load_options(null, revision, quantize, offload, vae_tiling),
        )  # fmt: skip
        source: Any
        settings: Any
        if is_one_step(training_free, detector, backbone):
            way.refuse()
            source = load_detector(detector or EMBEDDED, device, dtype)
            settings = DetectorSettings(resolution)
        else:
            source, settings = way.load(backbone, device, dtype), way.settings(resolution)
        output = OutputOptions(out, format.value, "soft" if soft else "thin", overwrite)
        with progress(len(found.images), "edges", hidden=quiet or as_json) as advance:
            names = output_names(found.images)
            done = detect_files(source, names, output, settings, batch_size)
            outcomes = follow(done, advance, as_json)
        if not quiet and not as_json:
            columns = _COLUMNS | {"edges": lambda record: escape(str(out / record["edges"]))}
            print_outcomes(outcomes, columns, ("image", "size", "edges"), out)
        if found.problems or any(outcome.state == "failed" for outcome in outcomes):
            raise typer.Exit(1)
