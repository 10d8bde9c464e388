"""`trace-edges report`: masks to look through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from trace_edges.cli.common import console
from trace_edges.cli.export import fail, say
from trace_edges.cli.fields import command
from trace_edges.cli.options import FILES, Reporting, check_inputs


@command
def report(
    results: Annotated[
        Path,
        typer.Argument(help="Masks in any form that `trace-edges export` reads."),
    ],
    reporting: Annotated[Reporting, FILES],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    hourly_price: Annotated[
        float | None,
        typer.Option(
            help="Price of an hour of the machine: the page then says what a job of `annotate` has "
            "cost so far and will still cost."
        ),
    ] = None,
) -> None:
    """Write a page of thumbnails with contours, to look through masks before they are corrected.

    The page sorts images by the score, number or size of their masks, by the share of the image
    that is covered, by disagreement, the number of further masks that lie on a covered pixel, and
    by doubt, the share of the contours at which the photograph hardly changes. Images that failed
    are listed with the reason. The page needs no network, and its thumbnails lie in a folder beside
    it.

    Example: trace-edges report masks --images photos --out report.html
    """
    check_inputs(results, images)
    from trace_edges.jobs.review import review
    from trace_edges.outputs import Outputs

    with Outputs("report", (results, images)).writing():
        done = review(results, images, out, hourly_price=hourly_price)
    say(done.findings)
    if reporting.json:
        typer.echo(json.dumps({"images": done.images, "failed": done.failed, "page": str(out)}))
    elif not reporting.quiet:
        console.print(escape(f"{done.images} images, {done.failed} failed: {out}"))
    fail(done.findings)
