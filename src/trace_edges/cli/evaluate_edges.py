"""`trace-edges evaluate edges`: edge maps against ground truth, with peers in the same run."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from trace_edges.cli.common import console, error, plain_table, progress
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import FILES, Reporting
from trace_edges.formats.registry import truth_kinds
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.outputs import Outputs

if TYPE_CHECKING:
    from trace_edges.evaluation.edges import EdgeEvaluation

    Kind = str
else:
    Kind = Literal["auto", *truth_kinds()]

_PROBLEM_LINES = 10
SHEET = "sheet.png"

KindOption = Annotated[Kind, typer.Option(help="Kind of ground truth; auto recognises it.")]
GtModeOption = Annotated[
    Literal["thin", "right_down", "inner", "thick", "given"] | None,
    typer.Option(
        help="How boundaries are drawn between labels: thin is a line of one pixel in the middle, "
        "right_down marks pixels whose right or lower neighbour differs, inner those of segments "
        "that touch another one, thick both sides; given takes what the ground truth draws. "
        "Default: given where it draws boundaries, otherwise thin."
    ),
]
VoidOption = Annotated[
    Literal["edge", "nearest", "ignore"],
    typer.Option(
        help="Treat unlabelled pixels as a segment, give them to the nearest one, or ignore them."
    ),
]
PROTOCOL = Fields(
    "Protocol",
    leave_out=("gt_mode", "void", "max_distance"),
    flags={"thin": ("--thin/--no-thin",), "interpolate": ("--interpolate/--no-interpolate",)},
    help={
        "thresholds": "Number n of thresholds, which are i / (n + 1).",
        "thin": "Thin the predictions to lines of one pixel at every threshold.",
        "nms": "How smooth maps are made lines before the first threshold: by their ridges, or as "
        "the toolbox of published results does; none is for maps that are lines.",
        "interpolate": "Look for the best F-measure of ODS between the thresholds as well.",
        "cldice_dilation": "Widen the predicted and the true lines by this many pixels before "
        "clDice compares them.",
    },
)
MaxDistance = Annotated[
    float,
    typer.Option(help="Largest distance of a match, as a share of the image diagonal."),
]
Workers = Annotated[
    int, typer.Option(help="Number of processes that share the images; 0 takes one per core.")
]


@command
def edges(
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="[PREDICTIONS]... GROUND_TRUTH",
            help="Folders of edge maps, each as FOLDER or NAME=FOLDER; then the ground truth, as a "
            "folder or a COCO JSON.",
        ),
    ],
    protocol: Annotated[EdgeProtocol, PROTOCOL],
    reporting: Annotated[Reporting, FILES],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("evaluation"),
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Score this method too: canny, sobel, felzenszwalb, or NAME=FOLDER; may be given "
            "several times."
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    kind: KindOption = "auto",
    gt_mode: GtModeOption = None,
    void: VoidOption = "edge",
    max_distance: MaxDistance = 0.0075,
    workers: Workers = 0,
) -> None:
    """Score edge maps against ground truth: ODS, OIS, AP, R50 and clDice.

    ODS and OIS are the F-measure at the best threshold for all images and for each image. AP is
    the average precision, R50 the recall where half of the edges found are right, and clDice
    compares lines by their connections.

    Several methods are scored on the same images. The folder receives the scores, the
    precision-recall curves, a sheet of the worst and best images of each method, and in
    calibration/NAME.json what the strengths of each are worth, for detect --calibration.

    Example: trace-edges evaluate edges edges panoptic_val2017.json --images val2017 --peer canny
    """
    from trace_edges.evaluation.edges import evaluate_edge_folders
    from trace_edges.evaluation.peers import draw_peer
    from trace_edges.evaluation.report import (
        REPORT,
        calibration_file,
        comparison_sheet,
        write_report,
    )
    from trace_edges.formats.ground_truth import open_ground_truth
    from trace_edges.formats.pixels import write_png
    from trace_edges.images import load_image

    *predictions, ground_truth = folders
    truth = open_ground_truth(Path(ground_truth), kind)
    mode = gt_mode or ("given" if truth.drawn else "thin")
    protocol = replace(protocol, gt_mode=mode, void=void, max_distance=max_distance)
    hidden, processes = not reporting.prints_table, workers or os.cpu_count() or 1
    classical = [one for one in peer or [] if "=" not in one]
    predictions += [one for one in peer or [] if "=" in one]
    methods = _folders([*predictions, *(f"{one}={out / 'peers' / one}" for one in classical)])
    if not methods:
        raise ValueError("there is nothing to score: give folders of edge maps, or --peer")
    read = (Path(ground_truth), *(methods[name] for name in methods if name not in classical))
    outputs = Outputs("evaluate edges", read)
    outputs.check(*(out / name for name in (*REPORT, SHEET)))
    outputs.check(*(calibration_file(out, method) for method in methods))
    photographs = _find_photographs(images, truth, needed=bool(classical))
    with outputs.writing():
        for one in classical:
            with progress(len(photographs), one, hidden) as advance:
                drawn = draw_peer(one, photographs, methods[one], processes, advance)
            for reason in drawn.values():
                error(reason)
        with progress(2 * len(methods) * len(truth), "scores", hidden) as advance:
            evaluation = evaluate_edge_folders(
                methods, truth, protocol, cache=out / "counts", workers=processes, progress=advance
            )
        origin = {
            "ground_truth": ground_truth,
            "kind": truth.kind,
            "folders": {name: str(folder) for name, folder in methods.items()},
        }
        files = write_report(evaluation, out, origin)
        for method in methods.keys() - evaluation.calibrations.keys():
            outputs.remove(calibration_file(out, method))  # of edges that it drew before
        load = (lambda name: load_image(photographs[name])) if photographs else None
        write_png(comparison_sheet(evaluation, truth, load), out / SHEET)
    if reporting.json:
        typer.echo(json.dumps(json.loads(files[0].read_text(encoding="utf-8"))))
    elif not reporting.quiet:
        _print_scores(evaluation, out)
    _report_problems(evaluation, files[0])


def _print_scores(evaluation: EdgeEvaluation, out: Path) -> None:
    from trace_edges.evaluation.report import HEADER, table_rows

    table = plain_table(HEADER, left=["method"])
    for row in table_rows(evaluation):
        table.add_row(*map(escape, row))
    console.print(table)
    console.print(f"{len(evaluation.images)} images; {evaluation.protocol}")
    for method, number in evaluation.unused.items():
        if number:
            console.print(f"{escape(method)}: {number} edge maps have no ground truth")
    console.print(f"written: {escape(str(out))}/scores.json, table.md, curves.*, sheet.png")


def _report_problems(evaluation: EdgeEvaluation, record: Path) -> None:
    """Images that were left out are an incomplete evaluation: said, and a non-zero exit."""
    problems = evaluation.problems
    for problem in problems[:_PROBLEM_LINES]:
        error(str(problem))
    if len(problems) > _PROBLEM_LINES:
        error(f"... and {len(problems) - _PROBLEM_LINES} more, in {record}")
    if problems:
        names = {problem.name for problem in problems}
        error(f"{len(names)} images were left out of every method's scores")
        raise typer.Exit(1)


def _folders(given: list[str]) -> dict[str, Path]:
    """Folders of edge maps by name: NAME=FOLDER, or a folder under its own name."""
    folders: dict[str, Path] = {}
    for text in given:
        name, _, folder = text.rpartition("=")
        path = Path(folder)
        name = name or path.resolve().name
        if name in folders:
            raise ValueError(f"two methods are called {name!r}: give one of them as NAME={folder}")
        folders[name] = path
    return folders


def _find_photographs(images: Path | None, truth: Collection[str], needed: bool) -> dict[str, Path]:
    """The photograph of each image with ground truth, by name."""
    from trace_edges.files import find_images
    from trace_edges.formats.folders import NamedFiles, by_name

    if images is None:
        if needed:
            raise ValueError("--peer draws edges of the photographs: give their folder as --images")
        return {}
    files, _ = by_name(find_images([images], recursive=True).images, images)
    found = NamedFiles(files).of(truth)
    missing = [name for name in truth if name not in found]
    if missing:
        raise ValueError(
            f"{images} lacks {len(missing)} of {len(truth)} photographs, first {missing[0]}: "
            "give the folder that holds them all"
        )
    return found
