"""What an evaluation leaves behind: numbers, a table, precision-recall curves."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from trace_edges.evaluation.edges import EdgeEvaluation
from trace_edges.extras import require
from trace_edges.files import write_atomically
from trace_edges.metrics.edges import EdgeScores

HEADER = ("method", "ODS", "OIS", "AP", "R50", "clDice")


def table_rows(evaluation: EdgeEvaluation) -> list[tuple[str, ...]]:
    """One row of strings per method, best ODS first, under `HEADER`."""
    ranked = sorted(evaluation.scores.items(), key=lambda item: -item[1].ods)
    return [
        (
            method,
            *(f"{value:.3f}" for value in (s.ods, s.ois, s.ap, s.r50, evaluation.cldice[method])),
        )
        for method, s in ranked
    ]


def write_report(
    evaluation: EdgeEvaluation, out: Path, origin: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write scores.json, table.md, curves.csv and curves.png into `out`.

    Args:
        evaluation: the scores.
        out: a folder, made if need be.
        origin: what scores.json says of where maps and ground truth came from.

    Returns:
        The files, in that order.
    """
    files = [out / name for name in ("scores.json", "table.md", "curves.csv", "curves.png")]
    record = {
        "trace_edges": version("trace-edges"),
        **(origin or {}),
        "protocol": asdict(evaluation.protocol),
        "images": evaluation.images,
        "left_out": [asdict(problem) for problem in evaluation.problems],
        "methods": {
            method: _plain(scores) | {"cldice": evaluation.cldice[method]}
            for method, scores in evaluation.scores.items()
        },
    }
    with write_atomically(files[0]) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    with write_atomically(files[1]) as temporary:
        temporary.write_text(_markdown(evaluation))
    with write_atomically(files[2]) as temporary:
        _write_curves(evaluation.scores, temporary)
    with write_atomically(files[3]) as temporary:
        _draw_curves(evaluation.scores, temporary)
    return files


def _plain(scores: EdgeScores) -> dict[str, Any]:
    values = asdict(scores)
    del values["protocol"]  # said once for all
    return values


def _markdown(evaluation: EdgeEvaluation) -> str:
    lines = [HEADER, ("---",) * len(HEADER), *table_rows(evaluation)]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{table}\n\n{len(evaluation.images)} images; {evaluation.protocol}.\n"


def _write_curves(methods: Mapping[str, EdgeScores], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("method", "threshold", "precision", "recall"))
        for method, scores in methods.items():
            for point in zip(scores.thresholds, scores.precision, scores.recall, strict=True):
                writer.writerow((method, *(f"{value:.6g}" for value in point)))


def _draw_curves(methods: Mapping[str, EdgeScores], path: Path) -> None:
    """Precision over recall with lines of equal F, as the BSDS benchmark draws them."""
    figure_class = require("matplotlib.figure", "eval").Figure  # no pyplot: it keeps a window
    figure = figure_class(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision")
    recall = np.linspace(0.01, 1, 200)
    for f in np.arange(1, 10) / 10:
        precision = f * recall / np.maximum(2 * recall - f, 1e-9)
        precision[(2 * recall <= f) | (precision > 1)] = np.nan
        axes.plot(recall, precision, color="0.85", linewidth=0.8, zorder=0)
    for method, scores in sorted(methods.items(), key=lambda item: -item[1].ods):
        # Where a threshold leaves no pixel, precision is 0 by convention: not a point of a curve.
        drawn = [(r, p) for r, p in zip(scores.recall, scores.precision, strict=True) if p > 0]
        label = f"{method}: ODS {scores.ods:.3f}, OIS {scores.ois:.3f}"
        (line,) = axes.plot(*np.transpose(drawn or [(0, 0)]), label=label)
        axes.plot(scores.ods_recall, scores.ods_precision, "o", color=line.get_color())
    axes.legend(loc="upper right", fontsize="small")
    figure.savefig(path, dpi=120)
