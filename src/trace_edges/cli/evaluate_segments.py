"""`trace-edges evaluate masks | panoptic`: AP and AR of masks; PQ, SQ and RQ of panoptic maps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from trace_edges.cli.common import console, image_progress
from trace_edges.cli.evaluate_edges import Workers
from trace_edges.cli.fields import command
from trace_edges.cli.options import FILES, Reporting
from trace_edges.outputs import Outputs

if TYPE_CHECKING:
    from trace_edges.metrics.masks import MaskScores
    from trace_edges.metrics.panoptic import PanopticScores


@command
def masks(
    predictions: Annotated[Path, typer.Argument(help="COCO JSON of results or annotations.")],
    ground_truth: Annotated[Path, typer.Argument(help="COCO JSON of instances.")],
    reporting: Annotated[Reporting, FILES],
    score: Annotated[
        Literal["given", "constant", "area"],
        typer.Option(help="Rank masks by the score given, by area, or all alike (constant)."),
    ] = "given",
    backend: Annotated[
        Literal["auto", "hotcoco", "faster-coco-eval", "pycocotools"],
        typer.Option(help="Library that computes the scores; all give the same numbers."),
    ] = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file for the scores.")] = None,
) -> None:
    """Score masks against ground truth as COCO does, without classes: AP and AR@100.

    Example: trace-edges evaluate masks masks/instances.json instances_val2017.json
    """
    outputs = Outputs("evaluate masks", (predictions, ground_truth))
    outputs.check(*([] if out is None else [out]))
    from trace_edges.evaluation.masks import evaluate_masks

    scores = evaluate_masks(predictions, ground_truth, score=score, backend=backend)
    files = {"predictions": predictions, "ground_truth": ground_truth}
    record = score_record(scores, files, "pycocotools", scores.backend)
    _report(record, out, outputs, reporting, lambda: _print_masks(scores))


@command
def panoptic(
    predictions: Annotated[Path, typer.Argument(help="Predicted COCO panoptic JSON.")],
    ground_truth: Annotated[Path, typer.Argument(help="True COCO panoptic JSON.")],
    reporting: Annotated[Reporting, FILES],
    prediction_folder: Annotated[
        Path | None, typer.Option(help="Predicted PNGs. Default: beside the JSON.")
    ] = None,
    ground_truth_folder: Annotated[
        Path | None, typer.Option(help="True PNGs. Default: beside the JSON.")
    ] = None,
    protocol: Annotated[
        Literal["coco", "voc"],
        typer.Option(help="Classes to average: those of the JSON, or VOC's 20 and background."),
    ] = "coco",
    workers: Workers = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the scores.")] = None,
) -> None:
    """Score panoptic maps against ground truth: PQ, SQ and RQ of all classes, things and stuff.

    Example: trace-edges evaluate panoptic panoptic/panoptic.json panoptic_val2017.json
    """
    read = (predictions, ground_truth, prediction_folder, ground_truth_folder)
    outputs = Outputs("evaluate panoptic", tuple(path for path in read if path is not None))
    outputs.check(*([] if out is None else [out]))
    from trace_edges.evaluation.panoptic import evaluate_panoptic

    with image_progress(not reporting.prints_table) as report:
        scores = evaluate_panoptic(
            predictions,
            ground_truth,
            prediction_folder,
            ground_truth_folder,
            protocol=protocol,
            workers=workers or os.cpu_count() or 1,
            progress=report,
        )
    files = {
        "predictions": predictions,
        "prediction_folder": prediction_folder,
        "ground_truth": ground_truth,
        "ground_truth_folder": ground_truth_folder,
    }
    _report(score_record(scores, files), out, outputs, reporting, lambda: _print_panoptic(scores))


def _report(
    record: dict[str, Any],
    out: Path | None,
    outputs: Outputs,
    reporting: Reporting,
    show: Callable[[], None],
) -> None:
    """Write the scores where that was asked for, and print them as it was."""
    from trace_edges.files import write_json

    if out is not None:
        with outputs.writing():
            write_json(record, out, indent=2)
    if reporting.json:
        typer.echo(json.dumps(record))
    elif not reporting.quiet:
        show()


def score_record(scores: Any, files: Mapping[str, Path | None], *packages: str) -> dict[str, Any]:
    """The fields of a result dataclass, the files they come from, and what computed them.

    Args:
        scores: a dataclass of plain values.
        files: by role; those that are None are left out.
        packages: distributions whose version matters, beside this one and numpy.
    """
    return {
        **asdict(scores),
        "files": {role: str(path) for role, path in files.items() if path is not None},
        "versions": {name: version(name) for name in ("trace-edges", "numpy", *packages)},
    }


def _print_masks(scores: MaskScores) -> None:
    numbers = {
        "AP": scores.ap,
        "AP50": scores.ap50,
        "AP75": scores.ap75,
        "AP small": scores.ap_small,
        "AP medium": scores.ap_medium,
        "AP large": scores.ap_large,
        "AR@100": scores.ar100,
    }
    table = Table(box=None, header_style="bold")
    for name in numbers:
        table.add_column(name, justify="right")
    table.add_row(*("-" if value is None else f"{100 * value:.2f}" for value in numbers.values()))
    console.print(table)
    console.print(
        f"percent; {scores.predictions} masks against {scores.ground_truths} and {scores.crowds} "
        f"crowds in {scores.images} images, found by {scores.images_by}; all of one category, "
        f"IoU of masks, at most {scores.max_detections} per image ({scores.beyond_limit} beyond); "
        f"scores: {scores.score}, equal ones by area; {scores.backend} {scores.backend_version}"
    )


def _print_panoptic(scores: PanopticScores) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("", "PQ", "SQ", "RQ", "classes"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in (("all", scores.all), ("things", scores.things), ("stuff", scores.stuff)):
        percent = ("-" if x is None else f"{100 * x:.2f}" for x in (row.pq, row.sq, row.rq))
        table.add_row(name, *percent, str(row.classes))
    console.print(table)
    console.print(
        f"percent; protocol {scores.protocol}, {scores.images} images; means over the "
        f"{scores.all.classes} of {scores.categories} classes that occur in the ground truth or "
        "the predictions; void and crowds as in COCO"
    )
