"""`trace-edges evaluate`: scores, and checks of ground truth before any score."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.common import console, error, progress
from trace_edges.cli.evaluate_edges import GtModeOption, KindOption, MaxDistance, VoidOption, edges
from trace_edges.cli.evaluate_segments import masks, panoptic
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import FILES, Reporting
from trace_edges.outputs import Outputs

evaluate = typer.Typer(
    name="evaluate",
    help="Score edges, masks or panoptic maps against ground truth, and check ground truth.",
    no_args_is_help=True,
)
evaluate.command()(edges)
evaluate.command()(masks)
evaluate.command()(panoptic)

Source = Annotated[Path, typer.Argument(help="Ground truth: a COCO JSON or a folder.")]


@evaluate.command()
@command
def check(
    source: Source,
    reporting: Annotated[Reporting, Fields(leave_out=("quiet",))],
    kind: KindOption = "auto",
    images: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
) -> None:
    """Check ground truth, and print what is wrong with it and how to mend it.

    Example: trace-edges evaluate check panoptic_val2017.json --images val2017
    """
    from trace_edges.formats.checks import check_ground_truth

    findings = check_ground_truth(source, kind, images)
    for finding in findings:
        if reporting.json:
            typer.echo(json.dumps(asdict(finding)))
        else:
            typer.echo(f"{finding.severity}: {finding}")
    counts = Counter(finding.severity for finding in findings)
    if not reporting.json:
        typer.echo(f"{source}: {counts['error']} errors, {counts['warning']} warnings")
    if counts["error"]:
        raise typer.Exit(1)


@evaluate.command()
@command
def boundaries(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for NAME.png of each image.")],
    reporting: Annotated[Reporting, FILES],
    kind: KindOption = "auto",
    gt_mode: GtModeOption = None,
    void: VoidOption = "edge",
    max_distance: MaxDistance = 0.0075,
) -> None:
    """Write the boundaries of ground truth as images: 255 is a boundary, 127 is ignored.

    Example: trace-edges evaluate boundaries panoptic_val2017.json --out boundaries
    """
    from trace_edges.evaluation.edges import edge_truth, write_boundaries
    from trace_edges.formats.ground_truth import open_ground_truth
    from trace_edges.metrics.protocol import EdgeProtocol

    truth = open_ground_truth(source, kind)
    mode = gt_mode or ("given" if truth.drawn else "thin")
    protocol = EdgeProtocol(gt_mode=mode, void=void, max_distance=max_distance)
    outputs, failed = Outputs("evaluate boundaries", (source,)), 0
    outputs.check(*(out / f"{name}.png" for name in truth))
    with (
        outputs.writing(),
        progress(len(truth), "boundaries", hidden=not reporting.prints_table) as advance,
    ):
        for name, read in truth.items():
            try:
                write_boundaries(edge_truth(read(), protocol), out / f"{name}.png")
            except ValueError as problem:
                error(str(problem))
                failed += 1
            advance()
    if reporting.json:
        typer.echo(json.dumps({"done": len(truth) - failed, "failed": failed}))
    elif not reporting.quiet:
        console.print(f"{len(truth) - failed} of {len(truth)} images: boundaries in {out}")
    if failed:
        raise typer.Exit(1)


@evaluate.command()
@command
def voc_instances(
    root: Annotated[Path, typer.Argument(help="Folder VOC2012 of PASCAL VOC.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    reporting: Annotated[Reporting, FILES],
    split: Annotated[
        str, typer.Option(help="Split to convert, from ImageSets/Segmentation.")
    ] = "val",
    keep_classes: Annotated[
        bool, typer.Option("--keep-classes", help="Keep the 20 classes instead of making one.")
    ] = False,
) -> None:
    """Convert the instances of PASCAL VOC to a COCO JSON with one category.

    Example: trace-edges evaluate voc-instances VOC2012 --out voc_val.json
    """
    from trace_edges.files import write_text
    from trace_edges.formats.voc import CLASSES, OBJECTS, SPLITS
    from trace_edges.formats.voc import voc_instances as convert

    outputs = Outputs("evaluate voc-instances", (root / OBJECTS, root / CLASSES, root / SPLITS))
    outputs.check(out)
    content = convert(root, split, class_agnostic=not keep_classes)
    with outputs.writing():
        write_text(json.dumps(content) + "\n", out)
    images, masks = len(content["images"]), len(content["annotations"])
    if reporting.json:
        typer.echo(json.dumps({"images": images, "instances": masks}))
    elif not reporting.quiet:
        console.print(f"{out}: {masks} instances on {images} images")
