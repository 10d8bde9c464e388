"""`trace-edges explore`: a page on this computer to look at edges, attention and instances."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from trace_edges.cli.common import errors, waiting
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import LOADING, MODEL, Files, Reporting, find_inputs
from trace_edges.edge_model import Choice
from trace_edges.loading import Loading


@command
def explore(
    choice: Annotated[Choice, MODEL],
    loading: Annotated[Loading, LOADING],
    reporting: Annotated[
        Reporting, Fields(leave_out=("quiet",), help={"json": "Print the address as JSON."})
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Images, or folders of images, to choose from on the page."),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; any but 127.0.0.1 opens the page to a network."),
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Port to listen at. Default: the first free one from 7860.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Open a page in the browser: edges of your images, where each pixel looks, instances to
    correct and export.

    Everything stays on this computer. Needs the extra explore.

    Example: trace-edges explore photos
    """
    one_step = choice.is_one_step  # refuses options that contradict each other
    images = list(find_inputs(inputs, Files())[0]) if inputs else []
    if host not in ("127.0.0.1", "localhost", "::1"):
        errors.print(f"anyone who can reach {host} can use this page, without a password")
    with waiting("the page", hidden=False):
        from trace_edges.explore.models import Models
        from trace_edges.explore.page import build_page, open_page

        models = Models(choice.detector_name, choice.backbone, loading)
        page = build_page(models, images, "one-step" if one_step else "training-free")
    address = open_page(page, host=host, port=port, browser=not no_browser, wait=False)
    typer.echo(
        json.dumps({"address": address}) if reporting.json else f"{address} (end with Ctrl-C)"
    )
    page.block_thread()
