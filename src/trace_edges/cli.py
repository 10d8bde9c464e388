"""The command `trace-edges`: every verb parses, calls one public function and prints a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from trace_edges import __version__

# torch and diffusers take seconds to import: the commands import what they run, so that --help
# and a mistyped option answer at once.

app = typer.Typer(
    name="trace-edges",
    help="Instance edges from the self-attention of text-to-image diffusion models (TRACE).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_INTERRUPTED = 130  # as shells report a process that Ctrl-C ended
_TABLE_ROWS = 30

errors = Console(stderr=True, soft_wrap=True, highlight=False)


class Trajectory(StrEnum):
    """Names of the two trajectories, for the command line."""

    inversion = "inversion"
    noise = "noise"


class Format(StrEnum):
    """Names of the edge formats, for the command line."""

    png = "png"
    png16 = "png16"
    npy = "npy"


class DType(StrEnum):
    """Names of the weights' types, for the command line."""

    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"


Backbone = Annotated[str, typer.Option(help="trace-mini, a diffusers folder, or a hub id.")]
Resolution = Annotated[
    int | None,
    typer.Option(help="sqrt(H*W) in px of what the model sees. Default: the backbone's.", min=1),
]
Refine = Annotated[
    int | None,
    typer.Option(help="k: look k x k times, shifted by 1/k of a cell. Default: the backbone's."),
]
Path_ = Annotated[Trajectory, typer.Option("--trajectory", help="How noise is added.")]
Timestep = Annotated[int | None, typer.Option(help="Read this step instead of t*.")]
Stride = Annotated[int, typer.Option(help="Between the steps of the trajectory.", min=1)]
Seed = Annotated[int, typer.Option(help="Of the noise in the noise trajectory.")]
EmergenceResolution = Annotated[
    int | None,
    typer.Option(help="Like --resolution, for the KL curve. Default: the backbone's.", min=1),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, ...; auto takes an accelerator if any.")]
Weights = Annotated[DType, typer.Option("--dtype", help="Of the weights.")]


@app.command()
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
    with _plain_errors():
        from trace_edges.detection import OutputOptions, detect_files
        from trace_edges.files import find_images, output_names
        from trace_edges.pipeline import TraceSettings

        found = find_images(inputs, recursive)
        for problem in found.problems:
            _error(str(problem))
        settings = TraceSettings(
            resolution, refine, trajectory.value, timestep, stride, seed, emergence_resolution
        )
        output = OutputOptions(out, format.value, "soft" if soft else "thin", overwrite)
        pipe = _load(backbone, device, dtype)
        outcomes = []
        with _progress(len(found.images), hidden=quiet or as_json) as advance:
            names = output_names(found.images)
            for outcome in detect_files(pipe, names, output, settings, batch_size):
                outcomes.append(outcome)
                advance()
                if outcome.message:
                    _error(outcome.message, outcome.image if outcome.state == "skipped" else None)
                if as_json:
                    typer.echo(json.dumps(asdict(outcome), default=str))
        if not quiet and not as_json:
            _print_table(outcomes, out)
        if found.problems or any(outcome.state == "failed" for outcome in outcomes):
            raise typer.Exit(1)


@app.command()
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
    with _plain_errors():
        from trace_edges.explain import explain as draw
        from trace_edges.files import write_atomically
        from trace_edges.images import load_image
        from trace_edges.pipeline import TraceSettings

        picture = load_image(image)
        settings = TraceSettings(resolution, refine, trajectory.value, timestep, stride, seed)
        sheet, result = draw(_load(backbone, device, dtype), picture, settings)
        with write_atomically(out) as temporary:
            sheet.save(temporary)
        if not quiet:
            typer.echo(f"{out}: t* = {int(result.emergence.timestep[0])}")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"trace-edges {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and exit.")
    ] = False,
) -> None:
    pass


def _load(name: str, device: str, dtype: DType) -> Any:
    import torch

    from trace_edges.pipeline import TraceEdgePipeline

    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        device = str(accelerator or "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {device!r} is not available: {reason}") from error
    return TraceEdgePipeline.from_pretrained(name, dtype=getattr(torch, dtype.value), device=place)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Wrong input ends in one line and a non-zero exit; programming errors keep their traceback."""
    try:
        yield
    except KeyboardInterrupt:
        _error("stopped; what was finished is kept, the same command goes on from there")
        raise typer.Exit(_INTERRUPTED) from None
    except OSError as error:
        known = error.filename and error.strerror  # without them the message is all there is
        _error(f"{error.filename}: {error.strerror}" if known else str(error))
        raise typer.Exit(1) from error
    except ValueError as error:
        _error(str(error))
        raise typer.Exit(1) from error


def _error(message: str, subject: Path | None = None) -> None:
    line = " ".join(f"{subject}: {message}".split() if subject else message.split())
    errors.print(f"[red]trace-edges:[/] {escape(line)}")


@contextmanager
def _progress(total: int, hidden: bool) -> Iterator[Any]:
    """A bar on standard error; gives the function that moves it on by one."""
    columns = (TextColumn("edges"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = hidden or not errors.is_terminal
    with Progress(*columns, console=errors, disable=hidden, transient=True) as progress:
        task = progress.add_task("edges", total=total)
        yield lambda: progress.advance(task)


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
    console = Console(soft_wrap=True, highlight=False)
    if done:
        console.print(table)
    if len(done) > _TABLE_ROWS:
        console.print(f"... and {len(done) - _TABLE_ROWS} more in {escape(str(out))}")
    states = Counter(outcome.state for outcome in outcomes)
    console.print(", ".join(f"{states[state]} {state}" for state in ("done", "skipped", "failed")))


def main() -> None:
    """Entry point of the command."""
    app()


if __name__ == "__main__":
    main()
