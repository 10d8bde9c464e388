"""`trace-edges refine`: masks of others, cut at the edges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.common import (
    console,
    image_progress,
    report_failures,
    report_notes,
    say_left,
)
from trace_edges.cli.fields import command
from trace_edges.cli.options import (
    CUTTING,
    FILES,
    Cutting,
    EdgeMaps,
    Formats,
    Reporting,
    check_inputs,
    finish,
    print_json,
)
from trace_edges.outputs import Outputs


@command
def refine(
    masks: Annotated[
        Path,
        typer.Argument(help="COCO JSON of annotations or results, or a folder of label maps."),
    ],
    edges: EdgeMaps,
    out: Annotated[Path, typer.Option(help="JSON file or folder to write, in the form of MASKS.")],
    cutting: Annotated[Cutting, CUTTING],
    formats: Annotated[Formats, FILES],
    reporting: Annotated[Reporting, FILES],
    image_list: Annotated[
        Path | None,
        typer.Option(help="COCO JSON that names the images, where MASKS is a list of results."),
    ] = None,
    split_parts: Annotated[
        bool,
        typer.Option("--split-parts", help="Make every separate part of a mask an instance."),
    ] = False,
) -> None:
    """Cut the masks of another tool at edges, so that each covers one instance.

    Masks are cut at the edges, their pieces grow until they fill the mask again, and masks that
    overlap are merged. The result has the format of the input.

    Example: trace-edges refine masks.json edges --out refined.json
    """
    check_inputs(masks, edges, image_list)
    from trace_edges.jobs.refine import refine_coco, refine_labels

    how, iou = cutting.propagation(), cutting.iou
    outputs = Outputs("refine", (masks, edges))
    with image_progress(not reporting.prints_table) as report:
        if masks.is_dir():
            outcomes = refine_labels(
                masks, edges, out, how, iou=iou, split_parts=split_parts, progress=report,
                outputs=outputs,
            )  # fmt: skip
        else:
            outcomes = refine_coco(
                masks, edges, out, how, iou=iou, split_parts=split_parts, images=image_list,
                progress=report,
            )  # fmt: skip
    failed = report_failures(outcomes)
    if masks.is_dir():
        say_left(outputs, out)
    if reporting.json:
        print_json(*outcomes)
    elif not reporting.quiet:
        records = [outcome.record for outcome in outcomes]
        before, after = (sum(one.get(k, 0) for one in records) for k in ("before", "after"))
        console.print(
            f"{len(outcomes) - failed} done, {failed} failed; {before} masks became {after}"
        )
        report_notes(outcomes)
    formats.write(out, reporting)
    finish(outcomes)
