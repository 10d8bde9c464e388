"""`trace-edges refine`: masks of others, cut at the edges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.common import console, image_progress, report_failures
from trace_edges.cli.fields import command
from trace_edges.cli.options import CUTTING, Cutting, check_inputs, finish


@command
def refine(
    masks: Annotated[
        Path,
        typer.Argument(help="COCO JSON (annotations or results), or a folder of label PNG or npy."),
    ],
    edges: Annotated[Path, typer.Argument(help="Folder of edge maps, as detect writes them.")],
    out: Annotated[Path, typer.Option(help="JSON file or folder, as the masks are.")],
    cutting: Annotated[Cutting, CUTTING],
    images: Annotated[
        Path | None, typer.Option(help="COCO JSON that lists the images, for a results list.")
    ] = None,
    split_parts: Annotated[
        bool,
        typer.Option("--split-parts", help="Parts of a mask that do not touch are instances."),
    ] = False,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Cut masks at edges, fill them again, and merge those that overlap: same format out as in."""
    check_inputs(masks, edges, images)
    from trace_edges.jobs.refine import refine_coco, refine_labels

    how, iou = cutting.propagation(), cutting.iou
    with image_progress(quiet) as report:
        if masks.is_dir():
            outcomes = refine_labels(
                masks, edges, out, how, iou=iou, split_parts=split_parts, progress=report
            )
        else:
            outcomes = refine_coco(
                masks, edges, out, how, iou=iou, split_parts=split_parts, images=images,
                progress=report,
            )  # fmt: skip
    failed = report_failures(outcomes)
    if not quiet:
        records = [outcome.record for outcome in outcomes]
        before, after = (sum(one.get(k, 0) for one in records) for k in ("before", "after"))
        console.print(
            f"{len(outcomes) - failed} done, {failed} failed; {before} masks became {after}"
        )
    finish(outcomes)
