"""The report of an evaluation: numbers, a table, precision-recall curves, a sheet of mistakes."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy.ndimage import maximum_filter

from trace_edges.drawing.visualize import contact_sheet
from trace_edges.evaluation.edges import EdgeEvaluation, edge_truth
from trace_edges.extras import require
from trace_edges.files import write_atomically, write_json, write_text
from trace_edges.formats.edge_maps import read_edge_map
from trace_edges.formats.truth import GroundTruth
from trace_edges.metrics.counts import EdgeTruth, unit_strength
from trace_edges.metrics.edges import EdgeScores
from trace_edges.metrics.lines import SUPPRESSIONS, thin
from trace_edges.metrics.matching import match_pixels
from trace_edges.metrics.protocol import EdgeProtocol

FOUND, FALSE, MISSED = (60, 220, 90), (255, 60, 60), (255, 200, 40)
_TILE = 320

REPORT = ("scores.json", "table.md", "curves.csv", "curves.png")
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
    """Write scores.json, table.md, curves.csv, curves.png and calibration/METHOD.json into `out`.

    Args:
        evaluation: the scores.
        out: a folder, made if need be.
        origin: where maps and ground truth came from, for scores.json.

    Returns:
        The first four files, in that order.
    """
    files = [out / name for name in REPORT]
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
    write_json(record, files[0], indent=1)
    write_text(_markdown(evaluation), files[1])
    with write_atomically(files[2]) as temporary:
        _write_curves(evaluation.scores, temporary)
    with write_atomically(files[3]) as temporary:
        _draw_curves(evaluation.scores, temporary)
    for method, calibration in evaluation.calibrations.items():
        calibration.save(calibration_file(out, method))
    return files


def calibration_file(out: Path, method: str) -> Path:
    """Where `write_report` puts the calibration of a method."""
    return out / "calibration" / f"{method}.json"


def comparison_sheet(
    evaluation: EdgeEvaluation,
    ground_truth: GroundTruth,
    read: Callable[[str], UInt8[np.ndarray, "h w 3"]] | None = None,
    examples: int = 3,
) -> Image.Image:
    """A row of images per method: its `examples` worst images, then as many best ones.

    Each shows the method's edges at its ODS threshold over the darkened image: found edges green,
    false ones red, missed ones yellow.

    Args:
        evaluation: of the methods.
        ground_truth: that they were scored on.
        read: gives the image of a name; None draws on black.
        examples: fewer are shown of a set with fewer images.
    """
    rows = []
    for method, scores in evaluation.scores.items():
        by_f = sorted(scores.image_f, key=lambda name: (scores.image_f[name], name))
        chosen = by_f if len(by_f) <= 2 * examples else by_f[:examples] + by_f[-examples:]
        row = []
        for name in chosen:
            truth = edge_truth(ground_truth[name](), evaluation.protocol)
            path = evaluation.maps[method][name]
            lines = _lines(path, scores.ods_threshold, evaluation.protocol)
            under = read(name) if read else np.zeros((*lines.shape, 3), np.uint8)
            title = f"{method}  F {scores.image_f[name]:.2f}  {name}"
            row.append((title, mistakes(under, lines, truth, evaluation.protocol)))
        rows.append(row)
    return contact_sheet(rows, _TILE)


def mistakes(
    image: UInt8[np.ndarray, "h w 3"],
    lines: Bool[np.ndarray, "h w"],
    truth: EdgeTruth,
    protocol: EdgeProtocol,
) -> Image.Image:
    """Found, false and missed edges over the darkened image, widened so that they show.

    Of several annotators the missed edges are those of the first.
    """
    radius = protocol.max_distance * math.hypot(*lines.shape)
    matched, found = zip(
        *(match_pixels(lines, gt, radius) for gt in truth.annotations), strict=True
    )
    right = np.logical_or.reduce(matched)
    wrong = lines & ~right
    if truth.ignore is not None:
        wrong &= ~truth.ignore
    canvas = image // 3
    width = max(1, round(max(lines.shape) / _TILE))
    layers: Mapping[tuple[int, int, int], np.ndarray] = {
        MISSED: truth.annotations[0] & ~found[0],
        FALSE: wrong,
        FOUND: right,
    }
    for colour, mask in layers.items():
        canvas[maximum_filter(mask, size=width)] = colour
    return Image.fromarray(canvas)


def _plain(scores: EdgeScores) -> dict[str, Any]:
    values = asdict(scores)
    del values["protocol"], values["calibration"]  # one stands once for all, one in a file
    return values


def _markdown(evaluation: EdgeEvaluation) -> str:
    lines = [HEADER, ("---",) * len(HEADER), *table_rows(evaluation)]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{table}\n\n{len(evaluation.images)} images; {evaluation.protocol}.\n"


def _write_curves(methods: Mapping[str, EdgeScores], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
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


def _lines(path: Path, threshold: float, protocol: EdgeProtocol) -> Bool[np.ndarray, "h w"]:
    strength = unit_strength(read_edge_map(path))
    strength = SUPPRESSIONS[protocol.nms](strength)
    edges = strength >= threshold
    return thin(edges) if protocol.thin else edges
