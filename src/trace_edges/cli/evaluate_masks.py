"""`trace-edges evaluate masks`: class-agnostic AP and AR of masks."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trace_edges.cli.common import console, plain_errors
from trace_edges.cli.records import score_record, write_record

if TYPE_CHECKING:
    from trace_edges.metrics.masks import MaskScores


class Score(StrEnum):
    """Names of the score policies, for the command line."""

    given = "given"
    constant = "constant"
    area = "area"


class Evaluator(StrEnum):
    """Names of the backends, for the command line."""

    auto = "auto"
    hotcoco = "hotcoco"
    faster_coco_eval = "faster-coco-eval"
    pycocotools = "pycocotools"


def masks(
    predictions: Annotated[Path, typer.Argument(help="COCO results or annotations JSON.")],
    ground_truth: Annotated[Path, typer.Argument(help="COCO instances JSON.")],
    score: Annotated[
        Score, typer.Option(help="Of the file (given), all equal (constant), or the mask's area.")
    ] = Score.given,
    backend: Annotated[
        Evaluator, typer.Option(help="The evaluator; all give the same numbers.")
    ] = Evaluator.auto,
    out: Annotated[Path | None, typer.Option(help="JSON file for the scores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score masks without regard to classes: AP, AP50, AP75 and AR@100 as COCO has them."""
    with plain_errors():
        from trace_edges.evaluation import evaluate_masks

        scores = evaluate_masks(predictions, ground_truth, score=score.value, backend=backend.value)
        files = {"predictions": predictions, "ground_truth": ground_truth}
        record = score_record(scores, files, "pycocotools", scores.backend)
        if out is not None:
            write_record(record, out)
        if as_json:
            typer.echo(json.dumps(record))
        else:
            _print(scores)


def _print(scores: MaskScores) -> None:
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
