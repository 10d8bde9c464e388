"""`trace-edges detect`: edges of image files into a folder."""

from __future__ import annotations

from collections.abc import Mapping
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
    NO_LOAD_OPTIONS,
    Backbone,
    Device,
    DType,
    EmergenceResolution,
    Format,
    Null,
    Offload,
    Path_,
    Quantize,
    Refine,
    Resolution,
    Revision,
    Seed,
    Shift,
    Stride,
    Timestep,
    Trajectory,
    VaeTiling,
    Weights,
    load_detector,
    load_options,
    load_pipeline,
)

_EMBEDDED = "trace-mini"
# What only the training-free way has, and how each is when nobody asked for it.
_OF_TRAINING_FREE = {
    "refine": None, "trajectory": Trajectory.inversion, "timestep": None, "stride": 100, "seed": 0,
    "emergence_resolution": None, "shift": 1.0, **NO_LOAD_OPTIONS,
}  # fmt: skip

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
    backbone: Backbone = _EMBEDDED,
    resolution: Resolution = None,
    refine: Refine = None,
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
        from trace_edges.detection import OutputOptions, detect_files
        from trace_edges.detector import DetectorSettings
        from trace_edges.files import find_images, output_names
        from trace_edges.pipeline import TraceSettings

        found = find_images(inputs, recursive)
        for problem in found.problems:
            error(str(problem))
        given: dict[str, Any] = {
            "refine": refine, "trajectory": trajectory, "timestep": timestep, "stride": stride,
            "seed": seed, "emergence_resolution": emergence_resolution, "shift": shift,
        }  # fmt: skip
        loaded = load_options(null, revision, quantize, offload, vae_tiling)
        source: Any
        settings: DetectorSettings | TraceSettings
        if is_one_step(training_free, detector, backbone):
            refuse_others(given | loaded)
            source = load_detector(detector or _EMBEDDED, device, dtype)
            settings = DetectorSettings(resolution)
        else:
            source = load_pipeline(backbone, device, dtype, loaded)
            settings = TraceSettings(resolution, **given | {"trajectory": trajectory.value})
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


def is_one_step(training_free: bool, detector: str | None, backbone: str) -> bool:
    """Whether a detector is asked for; `ValueError` if it is and it is not."""
    if detector is not None and (training_free or backbone != _EMBEDDED):
        other = "--training-free" if training_free else "--backbone"
        raise ValueError(f"--detector brings its own backbone: leave {other} out")
    return detector is not None or (not training_free and backbone == _EMBEDDED)


def refuse_others(given: Mapping[str, Any]) -> None:
    """`ValueError` where an option of the training-free way was given."""
    for name, value in given.items():
        if value != _OF_TRAINING_FREE[name]:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} belongs to the training-free way: add --training-free")
