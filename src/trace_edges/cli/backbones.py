"""`trace-edges backbones`: the models that have names, and what one of them needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape

from trace_edges.backbones.checkpoints import EMBEDDED
from trace_edges.cli.common import console, plain_table
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import LOADING, Reporting
from trace_edges.loading import Loading

_RUNNING = ("prediction_type", "quantize", "offload", "vae_tiling")  # of models that are run


@command
def backbones(
    loading: Annotated[Loading, Fields(LOADING.panel, leave_out=_RUNNING)],
    reporting: Annotated[Reporting, Fields(leave_out=("quiet",))],
    name: Annotated[
        str | None,
        typer.Argument(help="A name from the table, a folder, or a hub id. Default: the table."),
    ] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Fetch the model and encode its null condition now.")
    ] = False,
) -> None:
    """List the models that have names, or describe one of them.

    The description says what the model needs, what of it is on this machine, and whether its
    licence must be accepted first.

    Example: trace-edges backbones sd3.5-large
    """
    as_json = reporting.json
    from trace_edges.backbones import ENCODERS

    if name is None:
        if prepare or loading.null or loading.revision:
            raise ValueError("--prepare, --null and --revision need the name of a backbone")
        _print_table(as_json)
        return
    if name in ENCODERS:
        if prepare or loading.null:
            raise ValueError(f"{name} is not a diffusion model: it has no null condition")
        _print_encoder(name, as_json)
        return
    from trace_edges.backbones import prepare_null

    if prepare:
        file = prepare_null(
            name, revision=loading.revision, null=loading.null, variant=loading.variant,
            **loading.placement,
        )  # fmt: skip
        if not as_json:
            console.print(f"null condition: {escape(str(file or 'needs no text encoder'))}")
    _print_one(name, loading, as_json)


def _print_table(as_json: bool) -> None:
    from trace_edges.backbones import CHECKPOINTS, ENCODERS, TRACE_MINI

    diffusion = {EMBEDDED: TRACE_MINI, **CHECKPOINTS}
    if as_json:
        rows = {name: _facts(row) for name, row in (diffusion | ENCODERS).items()}
        typer.echo(json.dumps(rows, indent=1))
        return
    numbers = ("px", "B param.", "layers", "grid", "TFLOP", "GiB")
    table = plain_table(("name", *numbers, "licence"), left=("name", "licence"))
    table.columns[0].no_wrap = True
    for name, row in diffusion.items():
        licence = escape(row.licence) + (" (gated)" if row.gated else "")
        sizes = (row.resolution, f"{row.parameters / 1000:.3g}", row.layers, row.grid)
        costs = (f"{row.tflop:.1f}", f"{row.memory:.1f}")
        table.add_row(name, *map(str, sizes), *costs, licence)
    console.print(table)
    console.print(
        "px: native size. B param.: parameters of the denoiser, in billions. layers: of "
        "self-attention. grid: side of the finest attention map, in cells. TFLOP: of one pass at "
        "the native size. GiB: peak memory in bfloat16, computed. Any other checkpoint of these "
        "families works by its folder or hub id."
    )
    first = "encoder (no diffusion)"
    encoders = plain_table((first, "px", "cell", "licence"), left=(first, "licence"))
    encoders.columns[0].no_wrap = True
    for name, encoder in ENCODERS.items():
        licence = escape(encoder.licence) + (" (gated)" if encoder.gated else "")
        encoders.add_row(name, str(encoder.resolution), str(encoder.cell), licence)
    console.print()
    console.print(encoders)


def _print_encoder(name: str, as_json: bool) -> None:
    from trace_edges.backbones import ENCODERS

    row = ENCODERS[name]
    if as_json:
        typer.echo(json.dumps({"name": name, **_facts(row)}, indent=1))
        return
    about = {
        "from": row.hub,
        "licence": row.licence,
        "at": f"{row.resolution} px, {row.cell} px a token: one pass, without noise",
    }
    about |= {"note": row.note} if row.note else {}
    if row.gated:
        about["gated"] = "accept the licence on its page on the hub, then log in"
    _print_about(about)


def _print_one(name: str, loading: Loading, as_json: bool) -> None:
    from trace_edges.backbones import TRACE_MINI, take_inventory

    dtype = loading.placement["dtype"]
    found = take_inventory(name, loading.revision, dtype, loading.variant)
    row = TRACE_MINI if name == EMBEDDED else found.checkpoint
    if as_json:
        typer.echo(json.dumps(_described(name, found), indent=1))
        return
    about: dict[str, str] = {"family": found.family.name, "from": found.place}
    if row is not None:
        about |= {
            "licence": row.licence,
            "size": f"{row.parameters} M parameters, {row.layers} layers of self-attention",
            "at": f"{row.resolution} px: {row.tflop} TFLOP a pass, {row.memory} GiB in bfloat16",
        }
        about |= {"note": row.note} if row.note else {}
    states = {True: "here", False: "missing"}
    about |= {part: states[here] for part, here in found.components.items()}
    known = ", ".join(f"{kind} {states[here]}" for kind, here in found.nulls.items())
    of_type = str(dtype).removeprefix("torch.")
    about["null condition"] = f"{known} ({of_type}; default: {next(iter(found.nulls))})"
    if found.gated and not found.is_here:
        login = "you are logged in" if found.logged_in else "then log in with `hf auth login`"
        about["gated"] = f"accept the licence on its page on the hub; {login}"
    _print_about(about)


def _print_about(about: Mapping[str, str]) -> None:
    for title, text in about.items():
        console.print(f"[bold]{title:<15}[/] {escape(text)}")


def _facts(row: Any) -> dict[str, Any]:
    """Fields of a row of either table, but for configs of diffusers."""
    return {name: value for name, value in vars(row).items() if not name.endswith("config")}


def _described(name: str, found: Any) -> dict[str, Any]:
    return {
        "name": name,
        "family": found.family.name,
        "from": found.place,
        "checkpoint": None if found.checkpoint is None else _facts(found.checkpoint),
        "here": found.is_here,
        "components": found.components,
        "nulls": found.nulls,
        "gated": found.gated,
        "logged_in": found.logged_in,
    }
