"""`trace-edges evaluate panoptic`: PQ, SQ and RQ of panoptic segmentations."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trace_edges.cli.common import console, plain_errors, progress
from trace_edges.cli.records import score_record, write_record

if TYPE_CHECKING:
    from trace_edges.metrics.panoptic import PanopticScores


class Classes(StrEnum):
    """Names of the protocols, for the command line."""

    coco = "coco"
    voc = "voc"


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
        Classes, typer.Option(help="coco: the classes given; voc: 20 things and background.")
    ] = Classes.coco,
    workers: Annotated[int, typer.Option(help="Processes that share the images.", min=1)] = 1,
    out: Annotated[Path | None, typer.Option(help="JSON file for the scores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option(help="Show no progress.")] = False,
) -> None:
    """Score panoptic segmentations: PQ, SQ and RQ of all classes, things and stuff."""
    with plain_errors():
        from trace_edges.evaluation.panoptic import evaluate_panoptic

        with ExitStack() as bar:
            advance: Callable[[], None] | None = None

            def report(done: int, total: int) -> None:
                nonlocal advance
                if advance is None:  # how many images there are is known only now
                    advance = bar.enter_context(progress(total, "images", quiet or as_json))
                advance()

            scores = evaluate_panoptic(
                predictions,
                ground_truth,
                prediction_folder,
                ground_truth_folder,
                protocol=protocol.value,
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
            write_record(record, out)
        if as_json:
            typer.echo(json.dumps(record))
        else:
            _print(scores)


def _print(scores: PanopticScores) -> None:
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
