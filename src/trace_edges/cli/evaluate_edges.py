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
from rich.table import Table

from trace_edges.cli.common import console, error, progress
from trace_edges.cli.fields import Fields, command
from trace_edges.formats.registry import truth_kinds
from trace_edges.metrics.protocol import BSDS, EdgeProtocol
from trace_edges.outputs import Outputs

if TYPE_CHECKING:
    from trace_edges.evaluation.edges import EdgeEvaluation

    Kind = str
else:
    Kind = Literal["auto", *truth_kinds()]

_PROBLEM_LINES = 10
SHEET = "sheet.png"

KindOption = Annotated[Kind, typer.Option(help="What the ground truth is.")]
GtModeOption = Annotated[
    Literal["thin", "right_down", "inner", "thick", "given"] | None,
    typer.Option(help="Boundaries of labels. Default: thin, or given where they are drawn."),
]
VoidOption = Annotated[
    Literal["edge", "nearest", "ignore"],
    typer.Option(help="Void: a segment, filled by the nearest one, or not counted."),
]
PROTOCOL = Fields(
    leave_out=("gt_mode",),
    flags={"thin": ("--thin/--no-thin",), "interpolate": ("--interpolate/--no-interpolate",)},
    help={
        "thresholds": "How many: i / (n + 1).",
        "max_distance": "Of a match, in diagonals.",
        "thin": "Thin predictions at every threshold.",
        "nms": "Suppress non-maxima first.",
        "void": "Void: a segment, filled by the nearest one, or not counted.",
        "interpolate": "ODS between thresholds too.",
        "cldice_dilation": "px, of both sides.",
    },
)
Workers = Annotated[int, typer.Option(help="Processes; 0: one for each core.")]


@command
def edges(
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="[PREDICTIONS]... GROUND_TRUTH",
            help="Folders of edge maps, each FOLDER or NAME=FOLDER; last, the ground truth: a "
            "folder, or a panoptic or instance JSON.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("evaluation"),
    peer: Annotated[
        list[str] | None,
        typer.Option(help="canny, sobel, felzenszwalb, or NAME=FOLDER; may be repeated."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the photographs.")] = None,
    kind: KindOption = "auto",
    gt_mode: GtModeOption = None,
    protocol: Annotated[EdgeProtocol, PROTOCOL] = BSDS,
    workers: Workers = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print scores.json.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Score edge maps: ODS, OIS, AP, R50 and clDice, curves, and the worst and best images."""
    from trace_edges.evaluation.edges import evaluate_edge_folders
    from trace_edges.evaluation.peers import draw_peer
    from trace_edges.evaluation.report import REPORT, comparison_sheet, write_report
    from trace_edges.formats.ground_truth import open_ground_truth
    from trace_edges.formats.pixels import write_png
    from trace_edges.images import load_image

    *predictions, ground_truth = folders
    truth = open_ground_truth(Path(ground_truth), kind)
    mode = gt_mode or ("given" if truth.drawn else "thin")
    protocol = replace(protocol, gt_mode=mode)
    hidden, processes = quiet or as_json, workers or os.cpu_count() or 1
    classical = [one for one in peer or [] if "=" not in one]
    predictions += [one for one in peer or [] if "=" in one]
    methods = _folders([*predictions, *(f"{one}={out / 'peers' / one}" for one in classical)])
    if not methods:
        raise ValueError("there is nothing to score: give folders of edge maps, or --peer")
    read = (Path(ground_truth), *(methods[name] for name in methods if name not in classical))
    outputs = Outputs("evaluate edges", read)
    outputs.check(*(out / name for name in (*REPORT, SHEET)))
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
        load = (lambda name: load_image(photographs[name])) if photographs else None
        write_png(comparison_sheet(evaluation, truth, load), out / SHEET)
    if as_json:
        typer.echo(json.dumps(json.loads(files[0].read_text(encoding="utf-8"))))
    elif not quiet:
        _print_scores(evaluation, out)
    _report_problems(evaluation, files[0])


def _print_scores(evaluation: EdgeEvaluation, out: Path) -> None:
    from trace_edges.evaluation.report import HEADER, table_rows

    table = Table(box=None, header_style="bold")
    for column in HEADER:
        table.add_column(column, justify="left" if column == "method" else "right")
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

    if images is None:
        if needed:
            raise ValueError("--peer draws edges of the photographs: give their folder as --images")
        return {}
    found = {path.stem: path for path in find_images([str(images)]).images}
    missing = [name for name in truth if name not in found]
    if missing:
        raise ValueError(
            f"{images} lacks {len(missing)} of {len(truth)} photographs, first {missing[0]}: "
            "give the folder that holds them all"
        )
    return {name: found[name] for name in truth}
