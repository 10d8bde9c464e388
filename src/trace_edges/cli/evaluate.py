"""`trace-edges evaluate`: scores, and checks of ground truth before any score."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.common import console, error, moved_command, plain_errors, progress
from trace_edges.cli.evaluate_edges import GtModeOption, KindOption, VoidOption, edges
from trace_edges.cli.evaluate_segments import masks, panoptic
from trace_edges.cli.fields import command
from trace_edges.outputs import Outputs

evaluate = typer.Typer(
    name="evaluate",
    help="Score edges, masks or panoptic maps against ground truth; check ground truth.",
    no_args_is_help=True,
)
evaluate.command()(edges)
evaluate.command()(command(masks))
evaluate.command()(command(panoptic))

Source = Annotated[Path, typer.Argument(help="Panoptic or instance JSON, or a folder.")]


@evaluate.command()
@command
def check(
    source: Source,
    kind: KindOption = "auto",
    images: Annotated[Path | None, typer.Option(help="Folder of the photographs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per finding.")] = False,
) -> None:
    """Say what is wrong with ground truth, and how to mend it."""
    with plain_errors():
        from trace_edges.formats.checks import check_ground_truth

        findings = check_ground_truth(source, kind, images)
        for finding in findings:
            if as_json:
                typer.echo(json.dumps(asdict(finding)))
            else:
                typer.echo(f"{finding.severity}: {finding}")
        counts = Counter(finding.severity for finding in findings)
        if not as_json:
            typer.echo(f"{source}: {counts['error']} errors, {counts['warning']} warnings")
        if counts["error"]:
            raise typer.Exit(1)


@evaluate.command()
@command
def boundaries(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for NAME.png.")],
    kind: KindOption = "auto",
    gt_mode: GtModeOption = None,
    void: VoidOption = "edge",
    max_distance: Annotated[
        float, typer.Option(help="Around ignored void, in diagonals.")
    ] = 0.0075,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Write instance boundaries as images: 255 an edge, 127 ignored."""
    with plain_errors():
        from trace_edges.evaluation.edges import edge_truth, write_boundaries
        from trace_edges.formats.ground_truth import open_ground_truth
        from trace_edges.metrics.protocol import EdgeProtocol

        truth = open_ground_truth(source, kind)
        mode = gt_mode or ("given" if truth.drawn else "thin")
        protocol = EdgeProtocol(gt_mode=mode, void=void, max_distance=max_distance)
        outputs, failed = Outputs("evaluate boundaries", (source,)), 0
        outputs.check(*(out / f"{name}.png" for name in truth))
        with outputs.writing(), progress(len(truth), "boundaries", hidden=quiet) as advance:
            for name, read in truth.items():
                try:
                    write_boundaries(edge_truth(read(), protocol), out / f"{name}.png")
                except ValueError as problem:
                    error(str(problem))
                    failed += 1
                advance()
        if not quiet:
            console.print(f"{len(truth) - failed} of {len(truth)} images: boundaries in {out}")
        if failed:
            raise typer.Exit(1)


@evaluate.command()
@command
def voc_instances(
    root: Annotated[Path, typer.Argument(help="VOC2012, as in VOCdevkit.")],
    out: Annotated[Path, typer.Option(help="JSON to write.")],
    split: Annotated[str, typer.Option(help="Of ImageSets/Segmentation.")] = "val",
    categories: Annotated[bool, typer.Option("--categories", help="Keep the 20 classes.")] = False,
) -> None:
    """Make COCO instances of PASCAL VOC's SegmentationObject: one category, void left out."""
    with plain_errors():
        from trace_edges.files import write_text
        from trace_edges.formats.voc import CLASSES, OBJECTS, SPLITS
        from trace_edges.formats.voc import voc_instances as convert

        outputs = Outputs("evaluate voc-instances", (root / OBJECTS, root / CLASSES, root / SPLITS))
        outputs.check(out)
        content = convert(root, split, class_agnostic=not categories)
        with outputs.writing():
            write_text(json.dumps(content) + "\n", out)
        images, masks = len(content["images"]), len(content["annotations"])
        console.print(f"{out}: {masks} instances on {images} images")


moved_command(
    evaluate, "ablation", "trace-edges evaluate ablation", "python -m benchmarks.ablation"
)
