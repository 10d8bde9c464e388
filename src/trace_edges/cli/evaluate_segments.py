"""`trace-edges evaluate masks | panoptic`: AP and AR of masks; PQ, SQ and RQ of panoptic maps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trace_edges.cli.common import console, image_progress, plain_table
from trace_edges.cli.evaluate_edges import Workers
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import FILES, Reporting
from trace_edges.outputs import Outputs

if TYPE_CHECKING:
    from trace_edges.metrics.masks import MaskScores
    from trace_edges.metrics.panoptic import PanopticScores


@dataclass(frozen=True)
class Correction:
    """How corrected masks are compared with what they were made of.

    Attributes:
        against: COCO JSON of the masks after their correction.
        suggestions: Count the masks as suggestions: picking one costs a click, and leaving it costs
            nothing. Otherwise every wrong mask costs a click, which deletes it.
        min_iou: A corrected mask counts as added if its overlap (IoU) with every mask is lower.
        seconds_per_click: Seconds that a click takes, by which clicks become minutes.
    """

    against: Path | None = None
    suggestions: bool = False
    min_iou: float = 0.5
    seconds_per_click: float = 2.0


@command
def masks(
    predictions: Annotated[Path, typer.Argument(help="COCO JSON of results or annotations.")],
    reporting: Annotated[Reporting, FILES],
    correction: Annotated[Correction, Fields("Pre-labels and their correction")],
    ground_truth: Annotated[
        Path | None, typer.Argument(help="COCO JSON of instances; none with --against.")
    ] = None,
    score: Annotated[
        Literal["given", "constant", "area"],
        typer.Option(
            help="Rank the masks of an image by the scores of the file (given) or by their area, "
            "or give all of them one score (constant)."
        ),
    ] = "given",
    backend: Annotated[
        Literal["auto", "hotcoco", "faster-coco-eval", "pycocotools"],
        typer.Option(help="Library that computes the scores; all give the same numbers."),
    ] = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file for the scores.")] = None,
) -> None:
    """Score masks against ground truth as COCO does, without classes: AP and AR@100.

    AP is the average precision, and AR@100 the average recall of the best 100 masks of an image,
    both over overlaps (IoU) of 0.5 to 0.95.

    With --against, the masks are compared instead with what became of them when somebody corrected
    them: how many were kept, adjusted, added, deleted, split and merged, and how many clicks that
    took.

    Example: trace-edges evaluate masks masks/instances.json instances_val2017.json
    """
    other = correction.against or ground_truth
    if other is None or (correction.against and ground_truth):
        raise ValueError(
            "give the ground truth as second argument, or corrected masks by --against"
        )
    outputs = Outputs("evaluate masks", (predictions, other))
    outputs.check(*([] if out is None else [out]))
    if correction.against is not None:
        _correction(predictions, correction, out, outputs, reporting)
        return
    from trace_edges.evaluation.masks import evaluate_masks

    scores = evaluate_masks(predictions, other, score=score, backend=backend)
    files = {"predictions": predictions, "ground_truth": other}
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

    PQ, the panoptic quality, is the product of SQ, the mean overlap (IoU) of the segments that were
    found, and RQ, the F-measure of finding them.

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


def _correction(
    prelabels: Path, how: Correction, out: Path | None, outputs: Outputs, reporting: Reporting
) -> None:
    from trace_edges.evaluation.corrections import evaluate_corrections

    assert how.against is not None
    found = evaluate_corrections(
        prelabels, how.against, min_iou=how.min_iou, suggestions=how.suggestions
    )
    record = found.record(how.seconds_per_click)
    record |= {"files": {"prelabels": str(prelabels), "corrected": str(how.against)}}

    def show() -> None:
        counts = ("kept", "adjusted", "added", "deleted", "split", "merged")
        told = ", ".join(f"{record[name]} {name}" for name in counts)
        console.print(
            f"{found.prelabels} pre-labels became {found.corrected} masks in {found.images} images:"
            f" {told}; {found.classes_changed} classes changed"
        )
        console.print(
            f"{found.clicks} clicks ({record['minutes']:.1f} minutes) correct them; "
            f"{found.clicks_from_nothing} ({record['minutes_from_nothing']:.1f} minutes) would "
            f"draw all masks from nothing: {found.saved:.0%} of the clicks are saved"
        )

    _report(record, out, outputs, reporting, show)


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
    table = plain_table(numbers)
    table.add_row(*("-" if value is None else f"{100 * value:.2f}" for value in numbers.values()))
    console.print(table)
    console.print(
        f"In percent: {scores.predictions} masks against {scores.ground_truths} true ones and "
        f"{scores.crowds} crowds in {scores.images} images, which are matched by "
        f"{scores.images_by}. All masks have one category, and overlaps are the IoU of masks. At "
        f"most {scores.max_detections} masks of an image count ({scores.beyond_limit} are beyond "
        f"that), ranked by score ({scores.score}), then by area. Computed by {scores.backend} "
        f"{scores.backend_version}."
    )


def _print_panoptic(scores: PanopticScores) -> None:
    table = plain_table(("", "PQ", "SQ", "RQ", "classes"), left=[""])
    for name, row in (("all", scores.all), ("things", scores.things), ("stuff", scores.stuff)):
        percent = ("-" if x is None else f"{100 * x:.2f}" for x in (row.pq, row.sq, row.rq))
        table.add_row(name, *percent, str(row.classes))
    console.print(table)
    console.print(
        f"In percent, by the protocol {scores.protocol}, for {scores.images} images. The scores "
        f"are means over the {scores.all.classes} of {scores.categories} classes that occur in the "
        "ground truth or the predictions. Void and crowds are treated as in COCO."
    )
