"""`trace-edges refine`: masks of others, cut at the edges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.common import console, plain_errors
from trace_edges.cli.refining_options import (
    CloseGap,
    Iou,
    Method,
    MethodOption,
    Quiet,
    Threshold,
    image_progress,
    propagation,
    report_failures,
)


def refine(
    masks: Annotated[
        Path,
        typer.Argument(help="COCO JSON (annotations or results), or a folder of label PNG or npy."),
    ],
    edges: Annotated[Path, typer.Argument(help="Folder of edge maps, as detect writes them.")],
    out: Annotated[Path, typer.Option(help="JSON file or folder, as the masks are.")],
    images: Annotated[
        Path | None, typer.Option(help="COCO JSON that lists the images, for a results list.")
    ] = None,
    threshold: Threshold = 0.5,
    close_gap: CloseGap = 5,
    method: MethodOption = Method.watershed,
    iou: Iou = 0.5,
    quiet: Quiet = False,
) -> None:
    """Cut masks at edges, fill them again, and merge those that overlap: same format out as in."""
    with plain_errors():
        from trace_edges.jobs import refine_coco, refine_labels

        how = propagation(threshold, close_gap, method)
        with image_progress(quiet) as report:
            if masks.is_dir():
                outcomes = refine_labels(masks, edges, out, how, iou=iou, progress=report)
            else:
                outcomes = refine_coco(
                    masks, edges, out, how, iou=iou, images=images, progress=report
                )
        failed = report_failures(outcomes)
        if not quiet:
            before, after = (sum(getattr(o, k) for o in outcomes) for k in ("before", "after"))
            console.print(
                f"{len(outcomes) - failed} done, {failed} failed; {before} masks became {after}"
            )
        if failed:
            raise typer.Exit(1)
