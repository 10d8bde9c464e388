"""`trace-edges evaluate masks | panoptic`: AP and AR of masks; PQ, SQ and RQ of panoptic maps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from trace_edges.cli.common import console, image_progress, plain_errors
from trace_edges.files import write_json
from trace_edges.outputs import Outputs

if TYPE_CHECKING:
    from trace_edges.metrics.masks import MaskScores
    from trace_edges.metrics.panoptic import PanopticScores


def masks(
    predictions: Annotated[Path, typer.Argument(help="COCO results or annotations JSON.")],
    ground_truth: Annotated[Path, typer.Argument(help="COCO instances JSON.")],
    score: Annotated[
        Literal["given", "constant", "area"],
        typer.Option(help="Of the file (given), all equal (constant), or the mask's area."),
    ] = "given",
    backend: Annotated[
        Literal["auto", "hotcoco", "faster-coco-eval", "pycocotools"],
        typer.Option(help="The evaluator; all give the same numbers."),
    ] = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file for the scores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score masks without regard to classes: AP, AP50, AP75 and AR@100 as COCO has them."""
    with plain_errors():
        outputs = Outputs("evaluate masks", (predictions, ground_truth))
        outputs.check(*([] if out is None else [out]))
        from trace_edges.evaluation.masks import evaluate_masks

        scores = evaluate_masks(predictions, ground_truth, score=score, backend=backend)
        files = {"predictions": predictions, "ground_truth": ground_truth}
        record = score_record(scores, files, "pycocotools", scores.backend)
        if out is not None:
            with outputs.writing():
                write_json(record, out, indent=2)
        if as_json:
            typer.echo(json.dumps(record))
        else:
            _print_masks(scores)


def panoptic(
    predictions: Annotated[Path, typer.Argument(help="COCO panoptic JSON.")],
    ground_truth: Annotated[Path, typer.Argument(help="COCO panoptic JSON.")],
    prediction_folder: Annotated[
        Path | None, typer.Option(help="PNGs. Default: called like the JSON, or panoptic.")
    ] = None,
    ground_truth_folder: Annotated[
        Path | None, typer.Option(help="PNGs of the ground truth; the same default.")
    ] = None,
    protocol: Annotated[
        Literal["coco", "voc"],
        typer.Option(help="coco: the classes given; voc: 20 things and background."),
    ] = "coco",
    workers: Annotated[int, typer.Option(help="Processes that share the images.")] = 1,
    out: Annotated[Path | None, typer.Option(help="JSON file for the scores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option(help="Show no progress.")] = False,
) -> None:
    """Score panoptic segmentations: PQ, SQ and RQ of all classes, things and stuff."""
    with plain_errors():
        read = (predictions, ground_truth, prediction_folder, ground_truth_folder)
        outputs = Outputs("evaluate panoptic", tuple(path for path in read if path is not None))
        outputs.check(*([] if out is None else [out]))
        from trace_edges.evaluation.panoptic import evaluate_panoptic

        with image_progress(quiet or as_json) as report:
            scores = evaluate_panoptic(
                predictions,
                ground_truth,
                prediction_folder,
                ground_truth_folder,
                protocol=protocol,
                workers=workers,
                progress=report,
            )
        files = {
            "predictions": predictions,
            "prediction_folder": prediction_folder,
            "ground_truth": ground_truth,
            "ground_truth_folder": ground_truth_folder,
        }
        record = score_record(scores, files)
        if out is not None:
            with outputs.writing():
                write_json(record, out, indent=2)
        if as_json:
            typer.echo(json.dumps(record))
        else:
            _print_panoptic(scores)


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
