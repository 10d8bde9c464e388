"""`trace-edges panoptic`: from maps of classes to panoptic maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from trace_edges.cli.common import console, plain_errors
from trace_edges.cli.refining_options import (
    CloseGap,
    Method,
    MethodOption,
    Quiet,
    Threshold,
    image_progress,
    propagation,
    report_failures,
)

if TYPE_CHECKING:
    from trace_edges.formats.classes import ClassTable


def panoptic(
    semantic: Annotated[Path, typer.Argument(help="Folder of class maps: PNG, npy, IRN's npy.")],
    edges: Annotated[Path, typer.Argument(help="Folder of edge maps, as detect writes them.")],
    out: Annotated[Path, typer.Option(help="Folder for panoptic.json and panoptic/NAME.png.")],
    categories: Annotated[
        str | None, typer.Option(help="coco, voc, or a JSON with COCO's categories.")
    ] = None,
    contiguous: Annotated[
        bool,
        typer.Option("--contiguous", help="Class k is the k-th category, not the one of id k."),
    ] = False,
    things: Annotated[
        str | None, typer.Option(help="Without categories: classes with instances, as 1,2,3.")
    ] = None,
    stuff: Annotated[str | None, typer.Option(help="The other classes, as 0,4.")] = None,
    semantic_pngs: Annotated[
        bool, typer.Option("--semantic-pngs", help="Write semantic/NAME.png too.")
    ] = False,
    background: Annotated[
        float, typer.Option(help="Of IRN's class activation, what the background counts as.")
    ] = 0.15,
    threshold: Threshold = 0.5,
    close_gap: CloseGap = 5,
    method: MethodOption = Method.watershed,
    quiet: Quiet = False,
) -> None:
    """Split the things of semantic maps into instances: panoptic PNGs and JSON as COCO has them."""
    with plain_errors():
        from trace_edges.jobs import panoptic_files

        classes = read_classes(categories, contiguous, things, stuff)
        how = propagation(threshold, close_gap, method)
        with image_progress(quiet) as report:
            outcomes = panoptic_files(
                semantic, edges, out, classes, how,
                background=background, semantic_pngs=semantic_pngs, progress=report,
            )  # fmt: skip
        failed = report_failures(outcomes)
        if not quiet:
            count = sum(outcome.after for outcome in outcomes)
            console.print(
                f"{len(outcomes) - failed} done, {failed} failed; {count} segments in "
                f"{escape(str(out / 'panoptic.json'))}"
            )
        if failed:
            raise typer.Exit(1)


def read_classes(
    categories: str | None, contiguous: bool, things: str | None, stuff: str | None
) -> ClassTable:
    """The table of classes that the options stand for."""
    from trace_edges.formats.classes import class_table, read_class_table, table_of_numbers

    if categories is None:
        if things is None:
            raise ValueError("which classes are things? Give --categories, or --things")
        return table_of_numbers(_numbers(things), _numbers(stuff or ""))
    if things is not None or stuff is not None:
        raise ValueError("--categories says what things and stuff are: leave --things and --stuff")
    if categories == "coco":
        return class_table("coco")
    if categories == "voc":
        return class_table("voc")
    return read_class_table(Path(categories), contiguous=contiguous)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ValueError(f"{text!r} is no list of class numbers: write them as 1,2,3") from error
