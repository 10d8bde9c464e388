"""`trace-edges export`: masks into the formats of labelling tools, and from one into another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from trace_edges.cli.common import console, errors, report_first, say_left
from trace_edges.cli.fields import command
from trace_edges.cli.options import FILES, ExchangeFormat, Reporting, check_inputs

if TYPE_CHECKING:
    from trace_edges.formats.exchange import Exported
    from trace_edges.formats.truth import Finding


@command
def export(
    results: Annotated[
        Path,
        typer.Argument(
            help="Results of segment, refine, panoptic or annotate, or a file or folder of another "
            "tool in one of the formats."
        ),
    ],
    to: Annotated[ExchangeFormat, typer.Option(help="Format to write.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    reporting: Annotated[Reporting, FILES],
    source_format: Annotated[
        str | None,
        typer.Option("--from", help="Format of RESULTS. Default: recognised from RESULTS."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the images, from which their file names are taken, and the sizes that "
            "YOLO's labels do not hold."
        ),
    ] = None,
    categories: Annotated[
        str | None,
        typer.Option(
            help="Names of the classes by id: a JSON in COCO's form, a text file with one name in "
            "each line, or coco or voc for the classes of these data sets."
        ),
    ] = None,
    polygons: Annotated[
        bool,
        typer.Option(
            "--polygons",
            help="Write polygons instead of run lengths where they are exactly the mask (coco, "
            "fiftyone, cvat).",
        ),
    ] = False,
    image_root: Annotated[
        str,
        typer.Option(help="Beginning of the addresses of Label Studio's images; names follow it."),
    ] = "/data/local-files/?d=",
) -> None:
    """Convert masks into the format of a labelling tool or a trainer, or from one into another.

    Holes, parts, overlaps, crowds, ids, classes and scores are kept where the format can hold
    them; what it cannot hold is counted and printed. Images that cannot be read are listed, and
    all others are written.

    Example: trace-edges export masks --to cvat --out cvat --images photos
    """
    check_inputs(results, images)
    from trace_edges.formats.exchange import export as run
    from trace_edges.outputs import Outputs

    outputs = Outputs("export", (results, *([] if images is None else [images])))
    with outputs.writing():
        done = run(
            results, to, out, source_format=source_format, images=images, categories=categories,
            polygons=polygons, image_root=image_root,
        )  # fmt: skip
    report(done, to, reporting)
    say_left(outputs, out)
    fail(done.findings)


def report(done: Exported, to: str, reporting: Reporting) -> None:
    """Print what was written, what is lost, and what is wrong."""
    say(done.findings)
    if reporting.json:
        typer.echo(json.dumps({
            "images": done.images, "masks": done.masks, "files": list(map(str, done.files)),
            "lost": dict(done.lost), "findings": list(map(str, done.findings)),
        }))  # fmt: skip
        return
    if done.lost:
        lost = "; ".join(f"{count} {what}" for what, count in done.lost.items())
        errors.print(escape(f"{to} does not hold: {lost}"))
    if done.without_photograph:
        errors.print(f"{done.without_photograph} images have no file in the folder of images")
    if reporting.prints_table:
        where = ", ".join(map(str, done.files))
        console.print(escape(f"{done.images} images, {done.masks} masks: {where}"))


def say(findings: Sequence[Finding]) -> None:
    """Print what is wrong with images, the first of it."""
    report_first(findings, len(findings), "more")


def fail(findings: Sequence[Finding]) -> None:
    """End with 1 where something is wrong."""
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)
